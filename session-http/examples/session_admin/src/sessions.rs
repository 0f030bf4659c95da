//! Showing and ending sessions.

use serde_json::{Map, Value as Json, json};
use session_core::store::{Listed, Record, RecordKey, SessionStore, StoreError, Value, index_of};
use session_core::{Codec, EndReason, Ended, SessionId, Timestamp};

use crate::ask::Consent;
use crate::output::{Failure, Output, with_causes};
use crate::pages::now;
use crate::time::rfc3339;

/// Whether the values of a session are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    Shown,
    Hidden,
}

pub(crate) async fn list(
    store: &dyn SessionStore,
    principal: &str,
    output: &Output,
) -> Result<(), Failure> {
    for listed in index_of(store)?.list_of(principal, now()).await? {
        let id = listed.id().encode();
        match &listed {
            Listed::Unreadable { error, .. } => output.result(
                &format!("{id}  unreadable: {}", with_causes(error)),
                &json!({ "id": id, "unreadable": with_causes(error) }),
            ),
            _ => {
                if let Some(record) = listed.record() {
                    output.result(&line(record), &Json::Object(metadata(record)));
                }
            }
        }
    }
    Ok(())
}

/// Texts that clients chose are escaped: they go to a terminal.
fn line(record: &Record) -> String {
    format!(
        "{}  {:?}  since {}  seen {}  until {}{}",
        record.id().encode(),
        record.scope(),
        rfc3339(record.created_at()),
        rfc3339(record.last_seen()),
        rfc3339(record.expires_at()),
        record
            .label()
            .map_or_else(String::new, |label| format!("  {label:?}")),
    )
}

fn metadata(record: &Record) -> Map<String, Json> {
    let millis = |at: Timestamp| at.as_millis();
    let Json::Object(fields) = json!({
        "id": record.id().encode(),
        "scope": record.scope(),
        "principal": record.principal(),
        "label": record.label(),
        "version": record.version(),
        "created": millis(record.created_at()),
        "authenticated": record.authenticated_at().map(millis),
        "seen": millis(record.last_seen()),
        "expires": millis(record.expires_at()),
        "deadline": millis(record.absolute_expiry()),
        "bound_to_device": record.bound_at().is_some(),
        "ended": record.ended().map(|ended| format!("{:?}", ended.reason)),
        "bytes": record.size(),
        "keys": record.values().len(),
    }) else {
        return Map::new();
    };
    fields
}

pub(crate) async fn show(
    store: &dyn SessionStore,
    id: SessionId,
    values: Values,
    output: &Output,
) -> Result<(), Failure> {
    let now = now();
    let Some(record) = store.load(&RecordKey::Id(id), now).await? else {
        return Err(absent());
    };
    let mut fields = metadata(&record);
    let state = match record.ended() {
        Some(_) => "ended",
        None if record.is_live(now) => "live",
        None => "expired",
    };
    fields.insert("state".to_owned(), json!(state));
    let mut text = String::new();
    for (name, field) in &fields {
        let time = ["created", "authenticated", "seen", "expires", "deadline"];
        let shown = match field.as_u64().filter(|_| time.contains(&name.as_str())) {
            Some(millis) => rfc3339(Timestamp::from_millis(millis)),
            None => field.to_string(),
        };
        text.push_str(&format!("{name:16}{shown}\n"));
    }
    if values == Values::Shown {
        let shown: Map<_, _> = record
            .values()
            .iter()
            .map(|(key, value)| (key.to_owned(), value_of(value)))
            .collect();
        for (key, value) in &shown {
            text.push_str(&format!("value {key:?}: {value}\n"));
        }
        fields.insert("values".to_owned(), Json::Object(shown));
    }
    output.result(text.trim_end(), &Json::Object(fields));
    Ok(())
}

/// JSON as it is. Of anything else only a program that knows the type can say what it means.
fn value_of(value: &Value) -> Json {
    let bytes = value.bytes();
    match value.codec() {
        Codec::Json => serde_json::from_slice(bytes).unwrap_or(Json::Null),
        Codec::Sealed => json!({ "sealed": bytes.len() }),
        codec => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "codec": format!("{codec:?}"), "hex": hex })
        }
    }
}

fn absent() -> Failure {
    Failure::failed("there is no such session; it has ended or expired, or is in another store")
}

pub(crate) fn revoked() -> Ended {
    Ended::new(EndReason::Revoked, now())
}

pub(crate) async fn end(
    store: &dyn SessionStore,
    id: SessionId,
    consent: Consent,
    output: &Output,
) -> Result<(), Failure> {
    let key = RecordKey::Id(id);
    match store.load(&key, now()).await {
        Ok(Some(record)) if record.ended().is_none() => {}
        Ok(_) => return Err(absent()),
        // What cannot be read can be ended.
        Err(StoreError::Corrupt(_)) => {}
        Err(error) => return Err(error.into()),
    }
    consent.to("end 1 session")?;
    store.delete(&key, revoked()).await?;
    output.result("ended 1 session", &json!({ "ended": 1 }));
    Ok(())
}

pub(crate) async fn end_all(
    store: &dyn SessionStore,
    principal: &str,
    except: Option<SessionId>,
    consent: Consent,
    output: &Output,
) -> Result<(), Failure> {
    let index = index_of(store)?;
    let listed = index.list_of(principal, now()).await?;
    let count = listed
        .iter()
        .filter(|listed| Some(listed.id()) != except)
        .count();
    consent.to(&format!("end {count} sessions"))?;
    let ended = index.delete_all_of(principal, except, revoked()).await?;
    output.result(
        &format!("ended {ended} sessions"),
        &json!({ "ended": ended }),
    );
    Ok(())
}

pub(crate) async fn sweep(store: &dyn SessionStore, output: &Output) -> Result<(), Failure> {
    let removed = store.delete_expired(now()).await?;
    output.result(
        &format!("removed {removed} expired sessions and marks"),
        &json!({ "removed": removed }),
    );
    Ok(())
}
