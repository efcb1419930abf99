//! `bench` measures real nodes and says what it measured; how fast this machine is decides nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use cli_support::{bare, said};

fn figures(cases: &[&str]) -> Vec<serde_json::Value> {
    let said = said(bare().args(["bench", "--quick", "--json"]).args(cases).output().unwrap());
    assert_eq!(said.exit, Some(0), "{said:?}");
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_figure_stands_beside_its_loop() {
    let cases = ["latency", "pipelined", "deposit", "flood", "commit"];
    let lines = figures(&cases);
    for case in cases {
        let mut figures = lines.iter().filter(|line| line["case"] == case);
        assert!(figures.any(|line| line["met"].is_boolean()), "{case}: {lines:?}");
    }
    for line in &lines {
        let number = |name: &str| line[name].as_f64().unwrap();
        assert!(number("value") > 0.0 && number("rival") > 0.0, "{line}");
        let ratio = number("value") / number("rival");
        assert!((ratio - number("ratio")).abs() <= 0.01 * ratio + 0.001, "{line}");
        assert!(line["unit"].is_string() && line["beside"].is_string(), "{line}");
    }
}

#[test]
fn an_idle_minute_stands_beside_that_of_a_bare_node() {
    let lines = figures(&["idle"]);
    for (case, unit) in [
        ("idle full", "B/s"),
        ("idle full", "wakes/min"),
        ("idle full", "MiB"),
        ("idle light", "B/s"),
        ("idle light", "wakes/min"),
        ("idle light", "MiB"),
    ] {
        let line = lines.iter().find(|line| line["case"] == case && line["unit"] == unit).unwrap();
        assert!(line["value"].as_f64().unwrap() > 0.0, "{line}");
        assert!(line["rival"].as_f64().unwrap() > 0.0, "{line}");
    }
    for case in ["idle full", "idle light", "idle lost"] {
        assert!(lines.iter().any(|line| line["case"] == case && line["unit"] == "% of core"));
    }
}

#[test]
fn both_engines_open_and_give_back_what_was_deleted() {
    let lines = figures(&["store"]);
    assert_eq!(lines.len(), 6, "{lines:?}");
    let left = lines.iter().filter(|line| line["beside"].as_str().unwrap().contains("is left"));
    for line in left {
        assert!(line["value"].as_f64().unwrap() > 0.0 && line["met"].is_boolean(), "{line}");
    }
}

#[test]
fn a_case_that_is_none_is_a_wrong_use() {
    said(bare().args(["bench", "warp"]).output().unwrap()).is_refused("E_USAGE", 2);
}
