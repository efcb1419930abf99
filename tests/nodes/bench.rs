//! `bench` measures real nodes and says what it measured; how fast this machine is decides nothing.

#[path = "../cli_support/mod.rs"]
mod cli_support;

use cli_support::{bare, said};

#[test]
fn each_figure_stands_beside_its_loop() {
    let said = said(bare().args(["bench", "--quick", "--json"]).output().unwrap());
    assert_eq!(said.exit, Some(0), "{said:?}");

    let lines: Vec<serde_json::Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for case in ["latency", "pipelined", "deposit"] {
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
fn a_case_that_is_none_is_a_wrong_use() {
    said(bare().args(["bench", "warp"]).output().unwrap()).is_refused("E_USAGE", 2);
}
