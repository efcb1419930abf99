//! Whether this node is reached where it says that it is: peers that serve others dial it back.
//!
//! Rules: a peer dials only the address that the question came from, so that nobody makes it knock
//! elsewhere; one yes is enough, a no counts only where nobody says yes.
//! Source: `spec/streams.md#reach`; decision 0009.

use std::net::IpAddr;
use std::time::Duration;

use futures::future::join_all;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Stream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use godwit_protocol::id::HostId;
use godwit_protocol::machine::Address;
use godwit_protocol::wire::dial_back::{DialBack, DialBackAnswer, DialBackResult, MAX_DIAL_BACK};

use super::swarm::Order;
use super::{Network, translate};

/// Peers that are asked at once.
const MAX_ASKED: usize = 3;
/// How long one of them may take.
const ASK_TIME: Duration = Duration::from_secs(20);
/// How long a dial back may take.
const DIAL_TIME: Duration = Duration::from_secs(8);

/// What is known of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Where this node says that it is.
    pub address: Address,
    /// Whether it answers there; `None` if nobody could be asked.
    pub reached: Option<bool>,
    /// Who has tried.
    pub by: Option<HostId>,
}

impl Network {
    /// Asks connected peers to dial this node at each address, and keeps what comes of it.
    pub async fn prove(&self, addresses: Vec<Address>) -> Vec<Proof> {
        let (answer, peers) = oneshot::channel();
        self.order(Order::WhoDialsBack { answer });
        let mut peers = peers.await.unwrap_or_default();
        peers.truncate(MAX_ASKED);
        let meaning = join_all(addresses.iter().map(|it| self.shared.names.resolve(it))).await;
        // Each address with every meaning of its name.
        let flat: Vec<(usize, Address)> = meaning
            .iter()
            .enumerate()
            .flat_map(|(at, list)| {
                list.iter().filter_map(move |it| Some((at, translate::address(it)?)))
            })
            .collect();
        let asked: Vec<Address> = flat.iter().map(|(_, address)| address.clone()).collect();
        let answers = join_all(peers.iter().map(|peer| self.ask_back(*peer, &asked))).await;
        let mut proofs: Vec<Proof> = addresses
            .into_iter()
            .map(|address| Proof { address, reached: None, by: None })
            .collect();
        for (peer, answer) in peers.iter().zip(answers) {
            let results = answer.map(|it| it.results().to_vec()).unwrap_or_default();
            for ((at, _), result) in flat.iter().zip(results) {
                let Some(proof) = proofs.get_mut(*at) else { continue };
                let yes = result == DialBackResult::Reached;
                let no = result == DialBackResult::Unreached && proof.reached.is_none();
                if yes || no {
                    *proof = Proof {
                        reached: Some(yes),
                        by: translate::host_id(peer),
                        address: proof.address.clone(),
                    };
                }
            }
        }
        *self.proofs_mut() = proofs.clone();
        let unreached = proofs.iter().filter(|proof| proof.reached == Some(false));
        let addresses = unreached.filter_map(|it| translate::multiaddr(&it.address)).collect();
        self.order(Order::Unreached { addresses });
        proofs
    }

    async fn ask_back(&self, peer: PeerId, addresses: &[Address]) -> Option<DialBackAnswer> {
        let asked = async {
            let mut control = self.shared.control.clone();
            let mut stream = control.open_stream(peer, self.shared.reach.clone()).await.ok()?;
            write(&mut stream, &DialBack::new(addresses).to_bytes().ok()?).await?;
            let answer = read(&mut stream).await?;
            DialBackAnswer::from_bytes(&answer).ok()
        };
        timeout(ASK_TIME, asked).await.ok()?
    }

    /// Dials a peer back wherever it asks to be dialled, where it may be.
    pub(super) async fn dial_back(&self, peer: PeerId, mut stream: Stream) -> Option<()> {
        let question = timeout(DIAL_TIME, read(&mut stream)).await.ok()??;
        let question = DialBack::from_bytes(&question).ok()?;
        let results = join_all(question.addresses().iter().map(|it| self.dial_once(peer, it)));
        let answer = DialBackAnswer::new(results.await).to_bytes().ok()?;
        timeout(DIAL_TIME, write(&mut stream, &answer)).await.ok()?
    }

    async fn dial_once(&self, peer: PeerId, address: &Address) -> DialBackResult {
        let Some(address) = translate::multiaddr(address) else { return DialBackResult::Refused };
        let (answer, dialled) = oneshot::channel();
        self.order(Order::DialBack { peer, address, answer });
        match timeout(DIAL_TIME, dialled).await {
            Ok(Ok(Some(true))) => DialBackResult::Reached,
            Ok(Ok(None)) => DialBackResult::Refused,
            _ => DialBackResult::Unreached,
        }
    }
}

/// The IP address that a multiaddr begins with.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> Option<()> {
    let length = u32::try_from(bytes.len()).ok()?.to_le_bytes();
    stream.write_all(&[&length[..], bytes].concat()).await.ok()?;
    stream.flush().await.ok()
}

async fn read(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    if length > MAX_DIAL_BACK {
        return None;
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
