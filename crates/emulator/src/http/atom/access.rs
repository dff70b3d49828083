//! Who may manage hubs.

use hyper::HeaderMap;
use hyper::header;

use super::Refusal;
use super::write::Place;
use crate::names::atom;
use crate::namespace::Namespace;
use crate::rules::address::Audience;
use crate::rules::jwt;
use crate::rules::sas;

/// Checks the token of a request: it has to be for the URL, or for something above it, and to
/// allow managing. The service's words for what is wrong.
pub(super) fn check(
    namespace: &Namespace,
    headers: &HeaderMap,
    place: &Place,
    now: i64,
) -> Result<(), Refusal> {
    let text = headers.get(header::AUTHORIZATION).map(|value| value.to_str());
    let Some(Ok(text)) = text else {
        return Err(unauthorized(
            "MalformedToken: Invalid authorization header: The request is missing WRAP \
             authorization credentials.",
        ));
    };
    let wanted = Audience::parse(&format!("{}{}", place.base, place.path));
    let grant = match text.split_once(char::is_whitespace) {
        Some((scheme, _)) if !scheme.eq_ignore_ascii_case(atom::BEARER) => {
            sas::check(text, &namespace.keys, now).map_err(|error| error.to_string())
        }
        // The Go library leaves the scheme of a token of Entra ID out.
        bearer if namespace.jwt => {
            let token = bearer.map_or(text, |(_, token)| token);
            jwt::check(token, Some(&wanted), now).map_err(|error| error.to_string())
        }
        _ => Err("UnsupportedTokenType: JSON web tokens are not taken here.".to_owned()),
    };
    let grant = grant.map_err(|text| unauthorized(&text))?;
    if !grant.scope.covers(&wanted) {
        return Err(unauthorized("InvalidAudience: The token was not issued for this resource."));
    }
    match grant.rights.manage {
        true => Ok(()),
        false => Err(unauthorized(&format!(
            "Unauthorized access. 'Manage' claim(s) are required to perform this operation. \
             Resource: '{}{}'.",
            place.base, place.path
        ))),
    }
}

fn unauthorized(detail: &str) -> Refusal {
    Refusal::new(401, detail)
}
