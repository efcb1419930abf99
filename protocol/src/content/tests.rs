use proptest::prelude::*;

use super::*;
use crate::id::{HostId, SessionId};
use crate::machine::Address;

fn head() -> LinkHead {
    LinkHead { seq: 3, hash: [4; 16] }
}

fn content(kind: Kind, body: Vec<u8>) -> Content {
    Content {
        kind,
        message: MessageId([1; 16]),
        conversation: ConversationId([2; 32]),
        mode: Mode::Sealed,
        sent_at: UnixMillis(1_700_000_000_000),
        parents: vec![MessageId([5; 16]), MessageId([6; 16])],
        heads: [head(), head()],
        body,
    }
}

#[test]
fn a_content_reads_back_and_no_part_or_addition_of_it_does() {
    let content = content(Kind::TEXT, b"hello".to_vec());
    let bytes = content.to_bytes().unwrap();

    assert_eq!(Content::from_bytes(&bytes), Ok(content));
    for length in 0..bytes.len() {
        assert_eq!(Content::from_bytes(&bytes[..length]), Err(ContentError::Malformed));
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Content::from_bytes(&longer), Err(ContentError::Malformed));
}

#[test]
fn another_version_and_another_mode_are_refused_as_such() {
    let bytes = content(Kind::TEXT, Vec::new()).to_bytes().unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        Content::from_bytes(&bytes)
    };

    assert_eq!(changed(0, 2), Err(ContentError::Unsupported));
    assert_eq!(changed(51, 0), Err(ContentError::Unsupported));
}

#[test]
fn an_unknown_kind_is_kept_and_counts_as_written_by_a_person() {
    let content = content(Kind(17), vec![9; 40]);

    assert_eq!(Content::from_bytes(&content.to_bytes().unwrap()), Ok(content));
    assert!(Kind(17).is_written_by_a_person() && !Kind::RECEIPT.is_written_by_a_person());
}

#[test]
fn too_many_parents_and_too_many_bytes_are_not_encoded() {
    let mut many = content(Kind::TEXT, Vec::new());
    many.parents = vec![MessageId::ZERO; MAX_PARENTS + 1];
    let large = content(Kind::TEXT, vec![0; MAX_CONTENT]);

    assert_eq!(many.to_bytes(), Err(ContentError::Malformed));
    assert!(matches!(large.to_bytes(), Err(ContentError::TooLarge { .. })));
}

#[test]
fn the_longest_text_fits_a_content() {
    let text = Text::new("x".repeat(crate::limits::MAX_TEXT)).unwrap();

    assert!(content(Kind::TEXT, text.to_bytes()).to_bytes().is_ok());
    assert!(Text::new(String::new()).is_err());
    assert!(Text::new("x".repeat(crate::limits::MAX_TEXT + 1)).is_err());
}

#[test]
fn every_body_reads_back() {
    let reachability = Reachability {
        manifest: vec![1; 300],
        peer: HostId([7; 32]),
        addresses: vec![Address::new("/ip4/127.0.0.1/tcp/4001").unwrap()],
        queues: vec![QueueNumber { session: SessionId([8; 16]), n: 2 }],
    };
    let request = ContactRequest {
        name: "Zoë".to_owned(),
        invite: Some([3; 32]),
        chain: vec![1; 308],
        manifest: vec![2; 100],
        text: "hi".to_owned(),
    };
    let receipt = Receipt(vec![MessageId([1; 16]); 64]);
    let profile = Profile { name: "Bob".to_owned() };

    assert_eq!(Reachability::from_bytes(&reachability.to_bytes()), Ok(reachability));
    assert_eq!(ContactRequest::from_bytes(&request.to_bytes()), Ok(request));
    assert_eq!(Receipt::from_bytes(&receipt.to_bytes()), Ok(receipt));
    assert_eq!(Profile::from_bytes(&profile.to_bytes()), Ok(profile));
    for hello in [Hello::Plain, Hello::Last(None), Hello::Last(Some(MessageId([1; 16])))] {
        assert_eq!(Hello::from_bytes(&hello.to_bytes()), Ok(hello));
    }
}

#[test]
fn an_empty_receipt_and_a_name_of_65_characters_are_refused() {
    assert!(Receipt::from_bytes(&[0]).is_err());
    let long = Profile { name: "x".repeat(65) };
    assert!(Profile::from_bytes(&long.to_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Content::from_bytes(&bytes);
        let _ = Text::from_bytes(&bytes);
        let _ = Receipt::from_bytes(&bytes);
        let _ = Resend::from_bytes(&bytes);
        let _ = Hello::from_bytes(&bytes);
        let _ = Profile::from_bytes(&bytes);
        let _ = ContactRequest::from_bytes(&bytes);
        let _ = Control::from_bytes(&bytes);
        let _ = Reachability::from_bytes(&bytes);
    }

    #[test]
    fn what_is_read_is_what_would_be_written(
        kind in any::<u16>(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        parents in 0_usize..=4,
    ) {
        let mut content = content(Kind(kind), body);
        content.parents = vec![MessageId([7; 16]); parents];
        let bytes = content.to_bytes().unwrap();
        prop_assert_eq!(Content::from_bytes(&bytes).unwrap().to_bytes().unwrap(), bytes);
    }
}
