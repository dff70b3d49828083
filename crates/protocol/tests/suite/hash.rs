//! The partition-key hash against vectors published with, or computed by, other clients.

use eventhubs_protocol::hash::{hash, partition_index};
use std::num::NonZeroU16;

/// Key, hash, and index among 4, 8 and 32 partitions.
const MAPPED: &[(&str, i16, u16, u16, u16)] = &[
    ("7", -15263, 3, 7, 31),
    ("131", 30562, 2, 2, 2),
    ("7149583486996073602", 12977, 1, 1, 17),
    ("FWfAT", -22341, 1, 5, 5),
    ("sOdeEAsyQoEuEFPGerWO", -6503, 3, 7, 7),
    (
        "FAyAIctPeCgmiwLKbJcyswoHglHVjQdvtBowLACDNORsYvOcLddNJYDmhAVkbyLOrHTKLneMNcbgWVlasVywOByANjs",
        5226,
        2,
        2,
        10,
    ),
    (
        "1XYM6!(7(lF5wq4k4m*e$Nc!1ezLJv*1YK1Y-C^*&B$O)lq^iUkG(TNzXG;Zi#z2Og*Qq0#^*k):vXh$3,C7We7%W0meJ;b3,rQCg^J;^twXgs5E$$hWKxqp",
        23950,
        2,
        6,
        14,
    ),
    (
        "E(x;RRIaQcJs*P;D&jTPau-4K04oqr:lF6Z):ERpo&;9040qyV@G1_c9mgOs-8_8/10Fwa-7b7-yP!T-!IH&968)FWuI;(^g$2fN;)HJ^^yTn:",
        -29304,
        0,
        0,
        24,
    ),
    ("!c*_!I@1^c", 15372, 0, 4, 12),
    ("p4*!jioeO/z-!-;w:dh", -3104, 0, 0, 0),
    ("$0cb", 26269, 1, 5, 29),
    ("-4189260826195535198", 453, 1, 5, 5),
];

const HASHED: &[(&str, i16)] = &[
    ("", 0),
    ("a", -16220),
    ("1", 3270),
    ("key", 11419),
    ("partition-key", -15301),
    ("TestPartitionKey", 29568),
    ("xxxxxxxxxxxx", 332),
    ("xxxxxxxxxxxxx", 3742),
    ("xxxxxxxxxxxxxxxxxxxxxxxx", -20573),
    ("xxxxxxxxxxxxxxxxxxxxxxxxx", -26933),
    ("日本", 27948),
    ("🙂", 31368),
    ("ключ", -32174),
    ("alphabet", -23478),
    ("device-0001", -24874),
];

fn count(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).expect("not zero")
}

#[test]
fn published_vectors() {
    for &(key, expected, of_4, of_8, of_32) in MAPPED {
        assert_eq!(hash(key), expected, "{key}");
        assert_eq!(partition_index(key, count(4)), of_4, "{key} of 4");
        assert_eq!(partition_index(key, count(8)), of_8, "{key} of 8");
        assert_eq!(partition_index(key, count(32)), of_32, "{key} of 32");
    }
}

#[test]
fn further_vectors() {
    for &(key, expected) in HASHED {
        assert_eq!(hash(key), expected, "{key}");
    }
}

#[test]
fn index_is_always_in_range() {
    for n in [1, 2, 3, 5, 100, 32_768, u16::MAX] {
        for i in 0..500 {
            assert!(partition_index(&format!("device-{i}"), count(n)) < n);
        }
    }
}
