//! One more than a format takes, for each bound that remote bytes and people can reach.

use crate::content::{ContactRequest, Content, ContentError, Kind, Receipt, Resend, Text};
use crate::conversation::Mode;
use crate::crypto::Signer;
use crate::id::{ConversationId, DeviceId, HostId, MessageId};
use crate::identity::{Chain, ContactLink, LinkError, LinkHead, Name};
use crate::limits::{
    MAX_ACCOUNT_HOSTS, MAX_ADDRESS, MAX_CONTENT, MAX_DEVICE_HOSTS, MAX_DEVICES, MAX_FRAME,
    MAX_HOST_ADDRESSES, MAX_LINK, MAX_NAME, MAX_PARENTS, MAX_PROOF, MAX_RECEIPT_IDS, MAX_RECORD,
    MAX_REQUEST_TEXT, MAX_TEXT,
};
use crate::machine::Address;
use crate::record::{AccountRecord, Manifest, ManifestHost, RecordDevice};
use crate::session::tests::{NET, NOW};
use crate::vectors::vector;
use crate::wire::frame::{Frame, Request};

fn address(length: usize) -> String {
    format!("/dns/{}/tcp/1", "a".repeat(length - "/dns//tcp/1".len()))
}

fn content(body: usize, parents: usize) -> Content {
    Content {
        kind: Kind::TEXT,
        message: MessageId([1; 16]),
        conversation: ConversationId([2; 32]),
        mode: Mode::Sealed,
        sent_at: NOW,
        parents: vec![MessageId([3; 16]); parents],
        heads: [LinkHead { seq: 0, hash: [0; 16] }; 2],
        body: vec![7; body],
    }
}

fn host() -> ManifestHost {
    let address = Address::new(&address(MAX_ADDRESS)).unwrap();
    ManifestHost { host: HostId([2; 32]), addresses: vec![address; MAX_HOST_ADDRESSES] }
}

#[test]
fn what_people_type_is_bounded() {
    assert!(Text::new("a".repeat(MAX_TEXT)).is_ok());
    assert!(Text::new("a".repeat(MAX_TEXT + 1)).is_err());
    assert!(Text::new(String::new()).is_err());
    assert!(Name::parse(&"ä".repeat(MAX_NAME)).is_ok());
    assert!(Name::parse(&"ä".repeat(MAX_NAME + 1)).is_err());
    assert!(Address::new(&address(MAX_ADDRESS)).is_ok());
    assert!(Address::new(&address(MAX_ADDRESS + 1)).is_err());
    let link = format!("godwit:{}", "a".repeat(MAX_LINK));
    let (limit, got) = (MAX_LINK, link.len());
    assert_eq!(link.parse::<ContactLink>().unwrap_err(), LinkError::TooLong { limit, got });
}

#[test]
fn a_content_is_bounded() {
    let head = content(0, 0).to_bytes().unwrap().len();

    assert!(content(MAX_CONTENT - head, 0).to_bytes().is_ok());
    assert!(content(MAX_CONTENT - head + 1, 0).to_bytes().is_err());
    assert!(content(1, MAX_PARENTS).to_bytes().is_ok());
    assert!(content(1, MAX_PARENTS + 1).to_bytes().is_err());
    let count = u8::try_from(MAX_RECEIPT_IDS).unwrap();
    let ids = |count: u8| [vec![count], vec![1; 16 * usize::from(count)]].concat();
    assert!(Receipt::from_bytes(&ids(count)).is_ok() && Resend::from_bytes(&ids(count)).is_ok());
    assert_eq!(Receipt::from_bytes(&ids(count + 1)), Err(ContentError::Malformed));
    assert_eq!(Resend::from_bytes(&ids(count + 1)), Err(ContentError::Malformed));
}

#[test]
fn a_contact_request_is_bounded() {
    let request = |name: usize, chain: usize, manifest: usize, text: usize| {
        let request = ContactRequest {
            name: "a".repeat(name),
            invite: None,
            chain: vec![1; chain],
            manifest: vec![1; manifest],
            text: "a".repeat(text),
        };
        ContactRequest::from_bytes(&request.to_bytes()).is_ok()
    };

    assert!(request(MAX_NAME, MAX_PROOF, MAX_RECORD, MAX_REQUEST_TEXT));
    assert!(!request(MAX_NAME + 1, 1, 1, 1));
    assert!(!request(1, MAX_PROOF + 1, 1, 1));
    assert!(!request(1, 1, MAX_RECORD + 1, 1));
    assert!(!request(1, 1, 1, MAX_REQUEST_TEXT + 1));
    assert!(Chain::from_bytes(&vec![1; MAX_PROOF + 1]).is_err());
}

#[test]
fn what_is_signed_holds_no_more_than_a_record_may() {
    let chain = Chain::from_bytes(&vector("genesis")).unwrap();
    let signer = Signer::from_seed(vector("device.dk.seed").try_into().unwrap());
    let hosts = vec![host(); MAX_ACCOUNT_HOSTS + 1];
    let device =
        RecordDevice { device: DeviceId([1; 32]), k: 1, hosts: vec![0; MAX_DEVICE_HOSTS + 1] };
    let devices = vec![device; MAX_DEVICES + 1];

    let record = AccountRecord::sign(&signer, NET, &chain, NOW, (&hosts, &devices));
    let read = AccountRecord::from_bytes(&record.to_bytes(), NET).unwrap();

    assert!(record.to_bytes().len() <= MAX_RECORD);
    assert_eq!((read.hosts().len(), read.devices().len()), (MAX_ACCOUNT_HOSTS, MAX_DEVICES));
    assert!(read.devices().iter().all(|device| device.hosts.len() == MAX_DEVICE_HOSTS));
    let more = [record.to_bytes(), vec![0; MAX_RECORD]].concat();
    assert!(AccountRecord::from_bytes(&more, NET).is_err());
    let manifest = Manifest::sign(&signer, NET, DeviceId([1; 32]), 1, 1, &hosts);
    assert_eq!(manifest.hosts().len(), MAX_DEVICE_HOSTS);
}

#[test]
fn a_frame_is_bounded() {
    let frame = |length: usize| {
        let envelope = serde_bytes::ByteBuf::from(vec![0; length]);
        Frame::Request(1, Request::Deposit { envelope, stamp: [0; 8] })
    };
    let head = frame(0).encode().unwrap().len();

    let bytes = frame(MAX_FRAME - head).encode().unwrap();
    assert_eq!(bytes.len(), MAX_FRAME);
    assert!(Frame::decode(&bytes).is_ok());
    assert!(frame(MAX_FRAME - head + 1).encode().is_err());
    assert!(Frame::decode(&[bytes, vec![0]].concat()).is_err());
}
