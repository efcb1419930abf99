//! What is heard in the room, and what is dialled because of it.

use super::*;

fn near(peer: HostId, address: &str) -> Input {
    let addresses = vec![Address::new(address).unwrap()];
    NetworkInput::Near { peer, addresses }.into_input()
}

/// Gives an input to Alice's machine alone; whom she dials, and where.
fn dials(world: &mut World, input: Input) -> Vec<(HostId, Vec<Address>)> {
    world.at += 1;
    let (node, now) = (&mut world.nodes[0], time(world.at));
    let mut out = Vec::new();
    node.machine.handle(input, now, &mut node.rng, &mut node.rows, &mut out).unwrap();
    node.machine.end_batch(now, &mut node.rng, &mut node.rows, &mut out).unwrap();
    let dialled = out.into_iter().filter_map(|output| match output {
        Output::Now(Effect::Network(NetworkOutput::Dial { peer, addresses, .. })) => {
            Some((peer, addresses))
        }
        _ => None,
    });
    dialled.collect()
}

/// Friends of whom one waits for the other, who does not answer at present.
fn waiting() -> (World, HostId) {
    let mut world = World::friends();
    world.cut();
    world.queue.clear();
    let (bob, at) = (HostId([2; 32]), time(world.at));
    let down = NetworkInput::LinkDown { link: LinkId(1) };
    dials(&mut world, down.into_input());
    let to = crate::identity::account_text(&world.nodes[1].account());
    let text = OutgoingText { to, text: "are you here?".to_owned(), id: None };
    let command = Command::Send(vec![text]);
    assert_eq!(dials(&mut world, Input::Command { request: 1, command }).len(), 1, "{at:?}");
    let failed = NetworkInput::DialFailed { peer: bob, kind: StreamKind::Direct };
    assert!(dials(&mut world, failed.into_input()).is_empty(), "not at once again");
    (world, bob)
}

#[test]
fn whoever_is_waited_for_is_dialled_where_it_is_heard_at_most_once_a_minute() {
    let (mut world, bob) = waiting();

    let dialled = dials(&mut world, near(bob, "/ip4/192.168.1.7/tcp/1"));
    assert_eq!(dialled.len(), 1);
    assert_eq!(dialled[0].1[0].as_str(), "/ip4/192.168.1.7/tcp/1", "the room comes first");
    assert!(dialled[0].1.len() > 1, "and what was known is tried as well");
    let failed = NetworkInput::DialFailed { peer: bob, kind: StreamKind::Direct };
    assert!(dials(&mut world, failed.clone().into_input()).is_empty());
    for port in 2..50 {
        let shouted = near(bob, &format!("/ip4/192.168.1.7/tcp/{port}"));
        assert!(dials(&mut world, shouted).is_empty(), "a room that shouts makes nobody dial");
    }
}

#[test]
fn nobody_else_is_dialled_and_no_more_is_remembered_than_may_be() {
    let (mut world, bob) = waiting();

    for number in 0..1_000_u64 {
        let mut stranger = [9; 32];
        stranger[..8].copy_from_slice(&number.to_le_bytes());
        let dialled = dials(&mut world, near(HostId(stranger), "/ip4/10.0.0.1/tcp/1"));
        assert!(dialled.iter().all(|(peer, _)| *peer == bob), "a stranger was dialled");
    }
    assert_eq!(world.nodes[0].machine.near.len(), crate::limits::MAX_NEAR);
    let mut first = [9; 32];
    first[..8].fill(0);
    let quiet = NetworkInput::Near { peer: HostId(first), addresses: Vec::new() };
    dials(&mut world, quiet.into_input());
    assert_eq!(world.nodes[0].machine.near.len(), crate::limits::MAX_NEAR - 1);
}

#[test]
fn of_many_addresses_a_dial_tries_some_first_the_room_then_what_most_say() {
    let (mut world, bob) = waiting();
    let at = |port: usize| Address::new(&format!("/ip4/203.0.113.1/tcp/{port}")).unwrap();
    let contact = world.nodes[0].machine.contacts.values_mut().next().unwrap();
    contact.devices[0].addresses = vec![at(100), at(200)];
    contact.link_direct = vec![(bob, (0..1_000).map(at).collect())];

    let dialled = dials(&mut world, near(bob, "/ip4/192.168.1.7/tcp/1"));
    let said: Vec<&str> = dialled[0].1.iter().map(Address::as_str).collect();
    assert_eq!(said.len(), crate::limits::MAX_DIAL_ADDRESSES);
    let [room, ours, other] = ["192.168.1.7/tcp/1", "203.0.113.1/tcp/100", "203.0.113.1/tcp/200"]
        .map(|it| format!("/ip4/{it}"));
    assert_eq!(said[..3], [room, ours, other]);
}
