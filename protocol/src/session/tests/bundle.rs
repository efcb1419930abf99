use super::*;
use crate::limits::BUNDLE_LIFE;
use crate::time::Millis;

#[test]
fn a_bundle_reads_back_and_names_its_device() {
    let bob = Device::new(&mut rng(10));
    let bundle = bob.bundle();

    let read = Bundle::from_bytes(&bundle.to_bytes(), NET).unwrap();

    assert_eq!(read, bundle);
    assert_eq!(read.device_id(), bob.id());
    assert_eq!(read.contact_queues(), [(HostId([1; 32]), QueueId([2; 32]))]);
    assert_eq!(read.check_time(NOW), Ok(()));
}

#[test]
fn a_bundle_with_any_byte_changed_is_refused() {
    let bytes = Device::new(&mut rng(11)).bundle().to_bytes();

    for index in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(Bundle::from_bytes(&changed, NET).is_err(), "byte {index}");
    }
    assert!(Bundle::from_bytes(&bytes[..bytes.len() - 1], NET).is_err());
    assert_eq!(Bundle::from_bytes(&bytes, "other"), Err(BundleError::OtherNetwork));
}

#[test]
fn a_full_bundle_fits_a_record() {
    let bob = Device::new(&mut rng(12));
    let queues = [(HostId([1; 32]), QueueId([2; 32])); crate::limits::MAX_DEVICE_HOSTS];

    let bundle = Bundle::sign(&bob.dk, &bob.prekeys[0], &parts(&bob.ik, &queues)).unwrap();

    assert_eq!(bundle.to_bytes().len(), 3_262);
    let more = [queues[0]; crate::limits::MAX_DEVICE_HOSTS + 1];
    let parts = parts(&bob.ik, &more);
    assert_eq!(Bundle::sign(&bob.dk, &bob.prekeys[0], &parts), Err(BundleError::Malformed));
}

#[test]
fn time_is_checked_apart() {
    let bundle = Device::new(&mut rng(13)).bundle();

    let early = NOW.saturating_sub(Millis::from_secs(601));
    assert_eq!(bundle.check_time(early), Err(BundleTimeError::Ahead));
    let late = NOW.saturating_add(BUNDLE_LIFE);
    assert_eq!(bundle.check_time(late), Err(BundleTimeError::Expired));
}

#[test]
fn a_bundle_for_more_than_ten_days_is_refused() {
    let bob = Device::new(&mut rng(14));
    let early = BundleParts { published: NOW.saturating_sub(Millis(1)), ..parts(&bob.ik, &[]) };

    assert_eq!(Bundle::sign(&bob.dk, &bob.prekeys[0], &early), Err(BundleError::TooLong));
}
