//! The vectors of `spec/vectors/frames.json`: one of each frame, request and answer, of fields that are
//! one byte repeated or a small number.

use serde_bytes::ByteBuf;

use super::Vectors;
use crate::crypto::SignatureBytes;
use crate::id::{AccountId, Birth, EnvelopeId, HostId, OwnerKey, QueueId};
use crate::time::{UnixHours, UnixMillis};
use crate::wire::frame::{
    Answer, DepositReceipt, FenceRecord, Frame, Hello, Item, OpenKey, OwnerRole, QueueAccess,
    ReceiptPath, Refused, Registration, Request,
};

const OWNER: OwnerKey = OwnerKey([0xa1; 32]);
const QUEUE: QueueId = QueueId([0xa2; 32]);
const HOST: HostId = HostId([0xa3; 32]);
const ACCOUNT: AccountId = AccountId([0xa4; 32]);
const SIGNATURE: SignatureBytes = SignatureBytes([0xa5; 64]);
const HOUR: UnixHours = UnixHours(500_000);

fn bytes(byte: u8, length: usize) -> ByteBuf {
    ByteBuf::from(vec![byte; length])
}

fn fence() -> FenceRecord {
    let (fence, mark, acked) = (7, [0xa6; 16], 8);
    FenceRecord { host: HOST, owner: OWNER, fence, mark, acked, signature: SIGNATURE }
}

fn requests() -> Vec<(&'static str, Request)> {
    let registration = |access| Registration { queue: QUEUE, access, quota: 9 };
    let queues =
        vec![registration(QueueAccess::Token([0xa7; 32])), registration(QueueAccess::Stamp)];
    let ids = vec![EnvelopeId([0xa8; 16]), EnvelopeId([0xa9; 16])];
    let open = |key| Request::Open { queue: QUEUE, key };
    let (public, private) = (OwnerRole::Public, OwnerRole::Private);
    let admit = |role, token| Request::Admit { owner: OWNER, role, token };
    let records = vec![bytes(0xb0, 3), bytes(0xb1, 0)];
    let hash = [0xb2; 32];
    let (id, secret) = (EnvelopeId([0xa8; 16]), [0xb4; 16]);
    vec![
        ("prove", Request::Prove { owner: OWNER, signature: SIGNATURE }),
        ("admit.public", admit(public, Some([0xb5; 16]))),
        ("admit.private", admit(private, None)),
        ("register", Request::Register { owner: OWNER, queues }),
        ("drop", Request::Drop { owner: OWNER, queues: vec![QUEUE] }),
        ("publish", Request::Publish { owner: OWNER, account: ACCOUNT, records }),
        ("invite", Request::Invite { owner: OWNER, queue: QUEUE, hash, expires: HOUR }),
        ("fetch.public", Request::Fetch { owner: OWNER, fence: None }),
        ("fetch.private", Request::Fetch { owner: OWNER, fence: Some(fence()) }),
        ("ack", Request::Ack { owner: OWNER, ids, fence: Some(fence()) }),
        ("erase", Request::Erase { owner: OWNER }),
        ("get_card", Request::GetCard { account: ACCOUNT }),
        ("open.token", open(OpenKey::Token([0xb6; 32]))),
        ("open.invite", open(OpenKey::Invite([0xb7; 32]))),
        ("open.stamp", open(OpenKey::Stamp)),
        ("deposit", Request::Deposit { envelope: bytes(0xb8, 5), stamp: [0xb9; 8] }),
        ("revoke", Request::Revoke { queue: QUEUE, id, secret }),
    ]
}

fn answers() -> Vec<(&'static str, Answer)> {
    let receipt = DepositReceipt {
        host: HOST,
        hour: HOUR,
        birth: Birth([0xba; 16]),
        root: [0xbb; 32],
        signature: SIGNATURE,
    };
    let path = ReceiptPath { index: 1, leaves: 3, siblings: vec![[0xbc; 32], [0xbd; 32]] };
    let refused = |why| Answer::Refused(why);
    vec![
        ("done", Answer::Done),
        ("opened", Answer::Opened { seq: 11 }),
        ("fetching", Answer::Fetching { seq: 12, fence: Some(fence()) }),
        ("deposited", Answer::Deposited { receipt, path, expires: HOUR, seq: 13 }),
        ("card", Answer::Card { records: vec![bytes(0xbe, 2)] }),
        ("erased", Answer::Erased { hour: HOUR, signature: SIGNATURE }),
        ("refused.rejected", refused(Refused::Rejected)),
        ("refused.busy", refused(Refused::Busy { retry_after: 60_000 })),
        ("refused.not_found", refused(Refused::NotFound)),
        ("refused.full", refused(Refused::Full)),
    ]
}

#[test]
fn the_frames_are_those_of_the_specification() {
    let mut vectors = Vectors::default();
    let mut all: Vec<(String, Frame)> = Vec::new();
    let hello = Hello {
        challenge: [0xbf; 32],
        time: UnixMillis(1_700_000_000_000),
        birth: Birth([0xba; 16]),
        difficulty: 19,
    };
    all.push(("hello".to_owned(), Frame::Hello(hello)));
    all.extend(requests().into_iter().map(|(name, it)| (name.to_owned(), Frame::Request(14, it))));
    all.extend(answers().into_iter().map(|(name, it)| (name.to_owned(), Frame::Answer(14, it))));
    all.push(("item".to_owned(), Frame::Item(Item { owner: OWNER, envelope: bytes(0xb8, 5) })));
    all.push(("end".to_owned(), Frame::End(OWNER)));
    all.push(("full".to_owned(), Frame::Full(OWNER, QUEUE)));
    vectors.part("streams.md: each frame; requests and answers under id 14");
    for (name, frame) in all {
        let bytes = frame.encode().unwrap();
        assert_eq!(Frame::decode(&bytes), Ok(frame));
        vectors.put(&name, &bytes);
    }
    vectors.are(include_str!("../../spec/vectors/frames.json"));
}
