//! Claims-based security: the tokens of a connection, and what they allow.

use eventhubs_amqp::codec::{AmqpError, Symbol, condition};

use super::request::{Answer, Request};
use crate::config::Rights;
use crate::names::{self, request};
use crate::namespace::Namespace;
use crate::rules::address::{Audience, covers_path};
use crate::rules::calendar;
use crate::rules::jwt;
use crate::rules::sas::{self, Grant};
use crate::view::overview::AudienceSnapshot;

/// Audiences that one connection may hold tokens for. Clients that name every partition of a large
/// hub need one each.
pub(crate) const MAX_GRANTS: usize = 4096;

/// What a link or request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Publish.
    Send,
    /// Receive.
    Listen,
    /// Read runtime information: any right will do.
    Read,
}

impl Need {
    fn met_by(self, rights: Rights) -> bool {
        rights.manage
            || match self {
                Self::Send => rights.send,
                Self::Listen => rights.listen,
                Self::Read => rights.send || rights.listen,
            }
    }

    /// The service's words for a claim that is missing on `path`.
    fn claims(self, path: &str) -> String {
        let claim = match self {
            Self::Send => "Send",
            Self::Listen | Self::Read => "Listen",
        };
        format!(
            "Unauthorized access. '{claim}' claim(s) are required to perform this operation. \
             Resource: '{path}'."
        )
    }
}

/// The tokens of one connection, by audience.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    held: Vec<(Audience, Grant)>,
    /// When the first of them lapses.
    due: Option<i64>,
}

/// Tokens that have lapsed.
#[derive(Debug)]
pub(crate) struct Lapsed(Vec<(Audience, Grant)>);

impl Lapsed {
    /// What the client of a link is told that needed one of them.
    pub(crate) fn refusal(&self, path: &str, need: Need) -> AmqpError {
        let lower = path.to_ascii_lowercase();
        let covers = |audience: &Audience| path.is_empty() || covers_path(audience.path(), &lower);
        let latest = self.0.iter().filter(|(audience, _)| covers(audience));
        let latest = latest.map(|(_, grant)| grant.expires).max();
        let reason = latest.map_or_else(String::new, |expires| {
            let expires = calendar::utc(expires);
            format!(" ExpiredToken: The token is expired. Expiration time: '{expires}'.")
        });
        AmqpError::new(condition::UNAUTHORIZED_ACCESS, format!("{}{reason}", need.claims(path)))
    }
}

impl Grants {
    /// Keeps a token for an audience, in place of an older one.
    fn put(&mut self, audience: Audience, grant: Grant, now: i64) -> bool {
        // What has lapsed stays until its links have been told: there may be some still.
        let live = |(held, grant): &&(Audience, Grant)| *held != audience && grant.expires > now;
        let room = self.held.iter().filter(live).count() < MAX_GRANTS;
        if room {
            self.held.retain(|(held, _)| *held != audience);
            self.held.push((audience, grant));
        }
        self.due = self.held.iter().map(|(_, grant)| grant.expires).min();
        room
    }

    /// A right on the whole namespace that does not lapse: for peers that proved their key in the
    /// SASL layer.
    pub(crate) fn put_namespace(&mut self, rights: Rights) {
        let scope = Audience::parse("");
        self.held.push((scope.clone(), Grant { scope, rights, expires: i64::MAX }));
    }

    /// When the next token lapses.
    pub(crate) fn due(&self) -> Option<i64> {
        self.due
    }

    /// Takes out what has lapsed at `now`.
    pub(crate) fn take_lapsed(&mut self, now: i64) -> Lapsed {
        let lapsed = self.held.extract_if(.., |(_, grant)| grant.expires <= now).collect();
        self.due = self.held.iter().map(|(_, grant)| grant.expires).min();
        Lapsed(lapsed)
    }

    /// What there are tokens for, and until when; for people who look.
    pub(crate) fn audiences(&self) -> Vec<AudienceSnapshot> {
        let each = |(audience, grant): &(Audience, Grant)| AudienceSnapshot {
            audience: audience.to_string(),
            expires: (grant.expires != i64::MAX).then_some(grant.expires),
        };
        self.held.iter().map(each).collect()
    }

    /// Whether there is a live token at all.
    pub(crate) fn any(&self, now: i64) -> bool {
        self.held.iter().any(|(_, grant)| grant.expires > now)
    }

    /// Whether `path` may be used as `need` says, at `now`.
    pub(crate) fn allow(&self, path: &str, need: Need, now: i64) -> bool {
        let path = path.to_ascii_lowercase();
        self.held.iter().any(|(audience, grant)| {
            grant.expires > now && need.met_by(grant.rights) && covers_path(audience.path(), &path)
        })
    }

    /// The refusal for a link that no token covers.
    pub(crate) fn refusal(path: &str, need: Need) -> AmqpError {
        let node = names::CBS_NODE;
        let text = format!("{} Put a token for it on {node} first.", need.claims(path));
        AmqpError::new(condition::UNAUTHORIZED_ACCESS, text)
    }
}

/// Answers a request on `$cbs`; a good token is added to `grants`.
pub(crate) fn answer(
    namespace: &Namespace,
    request: &Request,
    grants: &mut Grants,
    now: i64,
) -> Answer {
    match put_token(namespace, request, grants, now) {
        Ok(()) => Answer::accepted(),
        Err(refusal) => refusal,
    }
}

fn put_token(
    namespace: &Namespace,
    request: &Request,
    grants: &mut Grants,
    now: i64,
) -> Result<(), Answer> {
    let argument = Symbol::from_static(names::condition::ARGUMENT_ERROR);
    let bad = |text: &str| Answer::refused(400, argument.clone(), text);
    if request.text(request::OPERATION) != Some(request::PUT_TOKEN) {
        return Err(bad("The operation is not supported: use 'put-token'."));
    }
    let kind = request.text(request::TYPE).unwrap_or_default();
    let name = request.text(request::NAME).ok_or_else(|| bad("The property 'name' is missing."))?;
    let token = request.body_text().ok_or_else(|| bad("The body is not a token."))?;
    let audience = Audience::parse(name);
    // The token says itself when it ends; what the request says of it counts for nothing.
    let grant = match kind {
        request::SAS_TOKEN => {
            sas::check(token, &namespace.keys, now).map_err(|error| error.to_string())
        }
        request::JWT if namespace.jwt => {
            jwt::check(token, Some(&audience), now).map_err(|error| error.to_string())
        }
        _ => Err(format!("UnsupportedTokenType: tokens of type '{kind}' are not taken here.")),
    };
    let grant = grant.map_err(|text| unauthorized(&text))?;
    if !grant.scope.covers(&audience) {
        return Err(unauthorized(&format!(
            "InvalidAudience: The token was not issued for '{name}'."
        )));
    }
    if audience.hub().is_some_and(|hub| !is_node(hub) && namespace.hub(hub).is_none()) {
        let text = format!("The messaging entity '{name}' could not be found.");
        return Err(Answer::refused(404, condition::NOT_FOUND, text));
    }
    if !grants.put(audience, grant, now) {
        let text = format!("The connection holds tokens for {MAX_GRANTS} audiences already.");
        return Err(Answer::refused(403, condition::RESOURCE_LIMIT_EXCEEDED, text));
    }
    Ok(())
}

/// Whether a path's first segment is a node of the namespace and no hub.
fn is_node(segment: &str) -> bool {
    segment.eq_ignore_ascii_case(names::MANAGEMENT_NODE)
        || segment.eq_ignore_ascii_case(names::CBS_NODE)
}

fn unauthorized(text: &str) -> Answer {
    Answer::refused(401, Symbol::from_static(names::condition::AUTH_FAILED), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SasKey};
    use crate::rules::token::sign;

    const NOW: i64 = 1_000_000;

    fn namespace() -> Namespace {
        let config = Config::default()
            .with_sas_key(SasKey::new("all", "k1"))
            .with_sas_key(SasKey::new("reader", "k2").with_rights(Rights::LISTEN))
            .with_sas_key(SasKey::new("writer", "k3").with_rights(Rights::SEND));
        Namespace::new(&config)
    }

    fn put(name: &str, token: &str, grants: &mut Grants) -> Answer {
        let request = Answer::request(
            &[("operation", "put-token"), ("type", request::SAS_TOKEN), ("name", name)],
            Some(token),
        );
        answer(&namespace(), &request, grants, NOW)
    }

    #[test]
    fn a_good_token_opens_what_it_covers() {
        let mut grants = Grants::default();
        assert!(!grants.any(NOW));
        let token = sign("sb://h:5672/hub", "all", "k1", 2000);
        assert_eq!(put("sb://h:5672/hub", &token, &mut grants).status(), 202);
        assert!(grants.any(NOW));
        assert!(grants.allow("hub", Need::Send, NOW));
        assert!(grants.allow("Hub/ConsumerGroups/$Default/Partitions/0", Need::Listen, NOW));
        assert!(!grants.allow("hub2", Need::Send, NOW));
        assert!(!grants.allow("hub", Need::Send, 2_000_000), "lapsed");
        assert!(!grants.any(2_000_000));
    }

    #[test]
    fn what_has_lapsed_is_told_before_it_is_forgotten() {
        let mut grants = Grants::default();
        let token = |audience: &str, expiry| sign(audience, "all", "k1", expiry);
        assert_eq!(put("sb://h/hub", &token("sb://h/hub", 1001), &mut grants).status(), 202);
        let (one, later) = (Audience::parse("sb://h/hub"), Audience::parse("sb://h/other"));
        let grant = Grant { scope: later.clone(), rights: Rights::ALL, expires: NOW + 9000 };
        assert!(grants.put(later.clone(), grant.clone(), NOW + 2000), "after the first lapsed");
        assert_eq!(grants.due(), Some(NOW + 1000), "which nobody has looked at yet");
        let lapsed = grants.take_lapsed(NOW + 2000);
        assert_eq!(lapsed.0.iter().map(|(audience, _)| audience).collect::<Vec<_>>(), [&one]);
        let text = lapsed.refusal("hub/Partitions/0", Need::Listen).description.unwrap();
        assert!(text.ends_with("Expiration time: '1970-01-01 00:16:41Z'."), "{text}");
        assert_eq!(grants.due(), Some(NOW + 9000));
        assert!(grants.put(later, Grant { expires: NOW + 99_000, ..grant }, NOW + 2000));
        assert_eq!(grants.due(), Some(NOW + 99_000), "a newer token takes the place of the older");
    }

    #[test]
    fn rights_are_the_keys() {
        let mut grants = Grants::default();
        let token = sign("sb://h/hub", "reader", "k2", 2000);
        assert_eq!(put("sb://h/hub", &token, &mut grants).status(), 202);
        assert!(grants.allow("hub", Need::Listen, NOW) && grants.allow("hub", Need::Read, NOW));
        assert!(!grants.allow("hub", Need::Send, NOW));
        let token = sign("sb://h/hub", "writer", "k3", 2000);
        assert_eq!(put("sb://h/hub", &token, &mut grants).status(), 202);
        assert!(grants.allow("hub", Need::Send, NOW));
        assert!(!grants.allow("hub", Need::Listen, NOW), "the newer token replaces the older");
    }

    #[test]
    fn a_narrow_audience_opens_only_itself() {
        let mut grants = Grants::default();
        let token = sign("sb://h/hub", "all", "k1", 2000);
        assert_eq!(put("sb://h/hub/Partitions/0", &token, &mut grants).status(), 202);
        assert!(grants.allow("hub/partitions/0", Need::Send, NOW));
        assert!(!grants.allow("hub/Partitions/1", Need::Send, NOW));
        assert!(!grants.allow("hub", Need::Send, NOW));
    }

    #[test]
    fn refusals_have_the_services_codes() {
        let mut grants = Grants::default();
        let hub = "sb://h/hub";
        let wrong = sign(hub, "all", "guess", 2000);
        assert_eq!(put(hub, &wrong, &mut grants).status(), 401);
        let late = sign(hub, "all", "k1", 1000);
        assert_eq!(put(hub, &late, &mut grants).status(), 401);
        let other = sign("sb://h/other", "all", "k1", 2000);
        assert_eq!(put(hub, &other, &mut grants).status(), 401);
        let wide = sign("sb://h", "all", "k1", 2000);
        let missing = put("sb://h/nohub", &wide, &mut grants);
        assert_eq!((missing.status(), missing.condition()), (404, Some(&condition::NOT_FOUND)));
        assert_eq!(put("sb://h/$management", &wide, &mut grants).status(), 202);
        let bad = |properties: &[(&str, &str)], body| {
            let request = Answer::request(properties, body);
            answer(&namespace(), &request, &mut Grants::default(), NOW).status()
        };
        assert_eq!(bad(&[], None), 400);
        let put = ("operation", "put-token");
        assert_eq!(bad(&[put, ("type", "jwt"), ("name", hub)], Some("x.y.z")), 401);
        assert_eq!(bad(&[put, ("type", request::SAS_TOKEN)], Some(&wide)), 400);
        assert_eq!(bad(&[put, ("type", request::SAS_TOKEN), ("name", hub)], None), 400);
    }

    #[test]
    fn the_number_of_audiences_is_bounded() {
        let mut grants = Grants::default();
        let scope = Audience::parse("sb://h");
        for number in 0..MAX_GRANTS {
            let audience = Audience::parse(&format!("sb://h/hub/Partitions/{number}"));
            let grant = Grant { scope: scope.clone(), rights: Rights::ALL, expires: NOW + 1 };
            assert!(grants.put(audience, grant, NOW));
        }
        let token = sign("sb://h/hub", "all", "k1", 2000);
        assert_eq!(put("sb://h/hub", &token, &mut grants).status(), 403);
        let grant = Grant { scope: scope.clone(), rights: Rights::ALL, expires: NOW + 2 };
        assert!(grants.put(scope, grant, NOW + 1), "lapsed tokens make room");
    }
}
