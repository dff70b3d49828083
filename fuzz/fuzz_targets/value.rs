#![no_main]
//! One value: scanned, looked at lazily, and decoded whole.

use bytes::BytesMut;
use eventhubs_amqp::codec::{DecodeErrorKind, ListView, MapView, Value, ValueRef, scan};
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fn encoded(value: &Value) -> BytesMut {
    let mut out = BytesMut::new();
    value.encode(&mut out);
    assert_eq!(out.len(), value.encoded_len());
    out
}

/// Everything a lazy value can be asked, and that it agrees with the owned one.
fn look(found: ValueRef<'_>, owned: Option<&Value>) {
    let list = found.as_list();
    let map = found.as_map();
    assert_eq!(list.map(|list| list.len()), list.map(|list| list.iter().count()));
    assert_eq!(map.map(|map| map.len()), map.map(|map| map.iter().count()));
    let Some(owned) = owned else { return };
    assert_eq!(found.as_i64(), owned.as_i64());
    assert_eq!(found.as_u64(), owned.as_u64());
    assert_eq!(found.as_f64().map(f64::to_bits), owned.as_f64().map(f64::to_bits));
    assert_eq!(found.as_bool(), owned.as_bool());
    assert_eq!(found.as_str(), owned.as_str());
    assert_eq!(found.as_symbol(), owned.as_symbol().map(|name| name.as_str()));
    assert_eq!(found.as_binary(), owned.as_binary().map(|bytes| &bytes[..]));
    assert_eq!(found.as_timestamp(), owned.as_timestamp());
    assert_eq!(found.as_uuid().as_ref(), owned.as_uuid());
    assert_eq!(found.is_null(), owned.is_null());
    match owned {
        Value::List(items) => {
            let list = list.expect("a list");
            assert_eq!(list.len(), items.len());
            list.iter().zip(items).for_each(|(found, owned)| look(found, Some(owned)));
        }
        Value::Map(entries) => {
            let map = map.expect("a map");
            assert_eq!(map.len(), entries.len());
            for ((key, value), (owned_key, owned_value)) in map.iter().zip(entries) {
                look(key, Some(owned_key));
                look(value, Some(owned_value));
            }
        }
        Value::Described(both) => {
            let (descriptor, value) = found.as_described().expect("a described value");
            look(descriptor, Some(&both.descriptor));
            look(value, Some(&both.value));
        }
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let skipped = scan::skip(data, 0);
    let valid = scan::validate(data, 0);
    let found = ValueRef::decode(data);
    assert_eq!(found.is_ok(), skipped.is_ok());
    if let Ok(end) = valid {
        assert_eq!(skipped, Ok(end));
    }
    let _ = (ListView::decode(data), MapView::decode(data));
    match frugal(data, || Value::decode(data)) {
        Ok((value, used)) => {
            assert_eq!(skipped, Ok(used));
            if let Err(error) = valid {
                // It allows fewer elements of no width than there may be in a long input.
                assert_eq!(error.kind, DecodeErrorKind::Count);
            }
            look(found.expect("skipped"), Some(&value));
            let bytes = encoded(&value);
            match Value::decode(&bytes) {
                // By their bytes, since a NaN somewhere inside would not equal itself.
                Ok((again, used)) => {
                    assert_eq!(used, bytes.len());
                    assert_eq!(encoded(&again), bytes);
                }
                // Shorter bytes are allowed fewer values.
                Err(error) => assert_eq!(error.kind, DecodeErrorKind::Count),
            }
        }
        Err(error) => {
            let text = matches!(
                error.kind,
                DecodeErrorKind::Utf8 | DecodeErrorKind::InvalidValue | DecodeErrorKind::Count
            );
            assert!(valid.is_err() || text, "{error}");
            if let Ok(found) = found {
                look(found, None);
            }
        }
    }
});
