use super::*;
use crate::limits::MAX_CONTENT;

#[test]
fn sizes_are_those_of_the_specification() {
    assert_eq!(Bucket::for_content(1_906).map(Bucket::bytes), Some(2_048));
    assert_eq!(Bucket::for_content(1_907).map(Bucket::bytes), Some(4_096));
    assert_eq!(Bucket::for_first_contact(0).map(Bucket::bytes), Some(8_192));
    assert_eq!(Bucket::for_first_contact(5_132).map(Bucket::bytes), Some(8_192));
    assert_eq!(Bucket::for_first_contact(5_133).map(Bucket::bytes), Some(16_384));
    assert_eq!(Bucket::for_first_contact(16_384), None);
    assert_eq!(Bucket::for_sealed(MAX_CONTENT).map(Bucket::bytes), Some(65_536));
}
