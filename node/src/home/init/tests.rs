use super::*;
use crate::clock::system_rng;

fn make(path: &Path, passphrase: Option<&Passphrase>) -> Result<(), HomeError> {
    fs::write(path.join("config.toml"), "[keystore]\nmemory = \"64KiB\"\n").unwrap();
    let new = NewHome { name: Name::parse("Alice").ok(), passphrase, announce: Vec::new() };
    init_account(path, &new, &mut system_rng(), |_| Ok(()))
}

#[test]
fn an_account_opens_again_with_its_passphrase_only() {
    let folder = tempfile::tempdir().unwrap();
    let right = Passphrase::new(b"right".to_vec()).unwrap();
    let wrong = Passphrase::new(b"wrong".to_vec()).unwrap();
    make(folder.path(), Some(&right)).unwrap();

    let open = |passphrase| Home::open(folder.path(), passphrase);
    assert!(matches!(open(None), Err(HomeError::PassphraseNeeded)));
    assert!(matches!(open(Some(&wrong)), Err(HomeError::PassphraseWrong)));
    let home = open(Some(&right)).unwrap();

    let account = home.account.as_ref().unwrap();
    assert_eq!(account.name.as_deref(), Some("Alice"));
    assert_eq!(home.protection(), Protection::Passphrase);
    assert_eq!(home.read_card().unwrap().device, Some(account.device.id().to_string()));
    assert!(!folder.path().join("kek").exists());
}

#[test]
fn a_home_without_a_passphrase_is_opened_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), None).unwrap();

    let home = Home::open(folder.path(), None).unwrap();

    assert_eq!(home.protection(), Protection::File);
    assert!(matches!(Home::open(folder.path(), None), Err(HomeError::InUse { .. })));
}

#[test]
fn a_home_that_is_there_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), None).unwrap();
    let before = fs::read(folder.path().join("keystore")).unwrap();

    assert!(matches!(make(folder.path(), None), Err(HomeError::Exists { .. })));
    assert_eq!(fs::read(folder.path().join("keystore")).unwrap(), before);
}

#[test]
fn nothing_is_a_home_while_the_words_are_shown_and_nothing_is_left_if_they_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");

    let result = init_account(&path, &NewHome::default(), &mut system_rng(), |_| {
        assert!(matches!(Home::resolve(&path), Err(HomeError::Absent { .. })));
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });

    assert!(matches!(result, Err(HomeError::Unshown { .. })));
    assert!(!path.exists());
}

#[test]
fn a_folder_that_an_attempt_left_behind_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["keystore.new", "node.key", "kek", "card"] {
        fs::write(folder.path().join(file), b"half").unwrap();
    }

    make(folder.path(), None).unwrap();

    assert!(Home::open(folder.path(), None).is_ok());
    assert!(!folder.path().join("keystore.new").exists());
}

#[test]
fn a_hosts_home_has_no_account_and_hosts_for_the_invited() {
    let folder = tempfile::tempdir().unwrap();
    let announce = vec![config::parse_address("/dns/host.example/tcp/7447").unwrap()];
    let new = NewHome { announce, ..NewHome::default() };

    let card = init_host(folder.path(), &new, &mut system_rng()).unwrap();

    let home = Home::open(folder.path(), None).unwrap();
    assert!(home.account.is_none());
    assert_eq!(home.config.hosting, Some(Admit::Invited));
    assert_eq!(home.config.announce.len(), 1);
    assert!(card.link.contains("host.example"));
}
