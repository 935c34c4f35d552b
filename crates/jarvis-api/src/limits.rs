//! How often something may be tried.

use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jarvis_core::{ErrorCode, UserId};
use jarvis_observe::METRICS;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;

/// Above so many keys, those that are back to their full allowance are forgotten.
const MANY_KEYS: usize = 10_000;
pub(crate) const PAIRINGS_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
pub(crate) const SIGN_INS_PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
pub(crate) const SIGN_INS_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(20).expect("20 is not 0");
/// A page renews once an hour; a server renews for all who use it.
pub(crate) const REFRESHES_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(300).expect("300 is not 0");
pub(crate) const PASSWORD_CHANGES_PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
pub(crate) const ASSERTIONS_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(120).expect("120 is not 0");

/// What is limited, per minute.
pub(crate) struct Limits {
    pairing: Limit<IpAddr>,
    assertion: Limit<IpAddr>,
    refresh: Limit<IpAddr>,
    password_change: Limit<UserId>,
    sign_in_address: Limit<IpAddr>,
    sign_in_account: Limit<[u8; 32]>,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limits")
    }
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            pairing: Limit::new("pairing", PAIRINGS_PER_ADDRESS),
            assertion: Limit::new("assertion", ASSERTIONS_PER_ADDRESS),
            refresh: Limit::new("refresh", REFRESHES_PER_ADDRESS),
            password_change: Limit::new("password_change", PASSWORD_CHANGES_PER_ACCOUNT),
            sign_in_address: Limit::new("sign_in_address", SIGN_INS_PER_ADDRESS),
            sign_in_account: Limit::new("sign_in_account", SIGN_INS_PER_ACCOUNT),
        }
    }

    /// Counts a try to pair.
    pub(crate) fn pairing(&self, address: ClientAddress) -> Result<(), Problem> {
        self.pairing.count(&address.0)
    }

    /// Counts a try to get a kiosk's token.
    pub(crate) fn assertion(&self, address: ClientAddress) -> Result<(), Problem> {
        self.assertion.count(&address.0)
    }

    /// Counts a try to renew a session.
    pub(crate) fn refresh(&self, address: ClientAddress) -> Result<(), Problem> {
        self.refresh.count(&address.0)
    }

    /// Counts a try to change a password: a token that was stolen must not serve to guess the old one.
    pub(crate) fn password_change(&self, user: UserId) -> Result<(), Problem> {
        self.password_change.count(&user)
    }

    /// Counts a try to sign in, by address and by account, whether or not the account exists.
    pub(crate) fn sign_in(&self, address: ClientAddress, email: &str) -> Result<(), Problem> {
        self.sign_in_address.count(&address.0)?;
        let account = Sha256::digest(email.trim().to_lowercase().as_bytes()).into();
        self.sign_in_account.count(&account)
    }
}

struct Limit<K: Hash + Eq + Clone> {
    /// Its name in the metrics.
    name: &'static str,
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(name: &'static str, per_minute: NonZeroU32) -> Self {
        // Monotonic time: a jump of the machine's clock neither locks out nor lets in.
        Self {
            name,
            limiter: RateLimiter::keyed(Quota::per_minute(per_minute)),
            clock: DefaultClock::default(),
        }
    }

    fn count(&self, key: &K) -> Result<(), Problem> {
        if self.limiter.len() > MANY_KEYS {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|until| {
            METRICS.http_limited.inc(&[self.name]);
            let wait = until.wait_time_from(self.clock.now());
            Problem::new(ErrorCode::RateLimited).retry_after(wait.as_secs() + 1)
        })
    }
}

/// Where a request comes from, as far as limits count it: an IPv4 address, or the /64 of an IPv6 address, of which
/// one customer has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(IpAddr);

impl FromRequestParts<ApiState> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Infallible> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        Ok(Self(network_of(state.proxies.client(peer, &parts.headers))))
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> ClientAddress {
        ClientAddress(network_of(address.parse().unwrap()))
    }

    #[test]
    fn the_sixth_try_of_an_address_waits_and_others_do_not() {
        let limits = Limits::new();
        for _ in 0..5 {
            assert!(limits.pairing(from("192.0.2.1")).is_ok());
        }
        let problem = limits.pairing(from("192.0.2.1")).unwrap_err();
        assert_eq!(problem.code(), ErrorCode::RateLimited);
        assert!((1..=61).contains(&problem.seconds_to_wait().unwrap()));
        assert!(limits.pairing(from("192.0.2.2")).is_ok());
    }

    #[test]
    fn an_account_is_limited_from_wherever_it_is_tried() {
        let limits = Limits::new();
        for last in 1..=5 {
            assert!(limits.sign_in(from(&format!("192.0.2.{last}")), "a@b.fr").is_ok());
        }
        assert!(limits.sign_in(from("192.0.2.9"), " A@B.fr").is_err());
        assert!(limits.sign_in(from("192.0.2.9"), "other@b.fr").is_ok());
    }

    #[test]
    fn one_customers_ipv6_addresses_count_as_one() {
        assert_eq!(from("2001:db8:1:2::1"), from("2001:db8:1:2:ffff::9"));
        assert_ne!(from("2001:db8:1:2::1"), from("2001:db8:1:3::1"));
        assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
    }
}
