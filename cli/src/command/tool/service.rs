//! `service`: the unit that keeps a node running on a server.

use serde_json::json;

use crate::exit::Failure;
use crate::output::{self, Format};

/// The unit of a service manager: print
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Print a systemd unit
    Print {
        /// For a person's own session instead of the machine
        #[arg(long)]
        user: bool,
    },
}

/// Prints it.
pub(crate) fn run(args: &Args, format: Format) -> Result<(), Failure> {
    let Act::Print { user } = args.act;
    let program = std::env::current_exe()?;
    let unit = unit(&program.display().to_string(), user);
    match format {
        Format::Json => output::object(&json!({"unit": unit}))?,
        Format::Text => output::line(unit.trim_end())?,
    }
    Ok(())
}

fn unit(program: &str, user: bool) -> String {
    let (home, account, target) = if user {
        ("", "", "default.target")
    } else {
        (
            "Environment=GODWIT_HOME=%S/godwit\n",
            "DynamicUser=yes\nStateDirectory=godwit\nStateDirectoryMode=0700\n\
             # with a passphrase: LoadCredential=passphrase:/etc/godwit/passphrase\n\
             # Environment=GODWIT_PASSPHRASE_FILE=%d/passphrase\n\
             ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\n",
            "multi-user.target",
        )
    };
    format!(
        "[Unit]\n\
         Description=godwit, a federated peer-to-peer messenger\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={program} run\n\
         {home}{account}\
         NoNewPrivileges=yes\n\
         LimitCORE=0\n\
         UMask=0077\n\
         Restart=on-failure\n\
         WatchdogSec=60\n\
         TimeoutStopSec=15\n\
         \n\
         [Install]\n\
         WantedBy={target}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_state_folder_and_a_person_a_session() {
        let (machine, person) = (unit("/bin/godwit", false), unit("/bin/godwit", true));

        for line in [
            "Type=notify",
            "WatchdogSec=60",
            "StateDirectory=godwit",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
        ] {
            assert!(machine.lines().any(|it| it == line), "{line} is missing:\n{machine}");
        }
        assert!(person.contains("ExecStart=/bin/godwit run\nNoNewPrivileges"), "{person}");
        assert!(!person.contains("StateDirectory"), "{person}");
    }
}
