//! Whom to believe about where a request comes from.

use axum::http::HeaderMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The networks of the reverse proxies whose header `X-Forwarded-For` is believed; empty believes nobody.
///
/// ```
/// let proxies: jarvis_api::TrustedProxies = "127.0.0.1, 10.0.0.0/8, ::1".parse().unwrap();
/// assert_eq!(proxies.to_string(), "127.0.0.1/32, 10.0.0.0/8, ::1/128");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no list of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list of IP addresses and networks such as 127.0.0.1, 10.0.0.0/8, ::1")]
pub struct NoNetworks;

impl FromStr for TrustedProxies {
    type Err = NoNetworks;

    fn from_str(text: &str) -> Result<Self, NoNetworks> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        words.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Network {
    type Err = NoNetworks;

    fn from_str(text: &str) -> Result<Self, NoNetworks> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetworks)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| NoNetworks))?;
        if bits > most {
            return Err(NoNetworks);
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Network { address, bits }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address}/{bits}")?;
        }
        Ok(())
    }
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        let shifted = |width: u32, value: u128| value.checked_shr(width - u32::from(self.bits)).unwrap_or(0);
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                shifted(32, u128::from(ours.to_bits())) == shifted(32, u128::from(theirs.to_bits()))
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                shifted(128, ours.to_bits()) == shifted(128, theirs.to_bits())
            }
            _ => false,
        }
    }
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address.to_canonical()))
    }

    /// Who sent a request that came from `peer`: the last address of `X-Forwarded-For` that is not itself a proxy of
    /// ours. What stands before it was written by whoever sent the request, and is not believed.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        let hops = values
            .iter()
            .rev()
            .flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            if !self.trusts(client) {
                break;
            }
            let Some(address) = address_of(hop.trim()) else {
                break;
            };
            client = address;
        }
        client
    }
}

/// An address as proxies write it: some add the port.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.parse().ok();
    bare.or_else(|| {
        text.parse::<std::net::SocketAddr>()
            .ok()
            .map(|address| address.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn client(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        let proxies: TrustedProxies = proxies.parse().unwrap();
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_a_proxy_of_ours() {
        assert_eq!(client("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("127.0.0.1", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(
            client("127.0.0.1", "127.0.0.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(
            client("127.0.0.1", "::ffff:127.0.0.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn what_the_sender_wrote_before_the_proxies_is_not_believed() {
        let chain = ["203.0.113.9, 198.51.100.7, 10.1.2.3"];
        assert_eq!(
            client("127.0.0.1, 10.0.0.0/8", "127.0.0.1", &chain),
            "198.51.100.7"
        );
        assert_eq!(
            client("127.0.0.1", "127.0.0.1", &["203.0.113.9", "198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(client("127.0.0.1", "127.0.0.1", &["nonsense"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", "127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn addresses_with_ports_and_networks_of_every_size_are_read() {
        assert_eq!(client("::1", "::1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(
            client("0.0.0.0/0", "192.0.2.1", &["198.51.100.7:80"]),
            "198.51.100.7"
        );
        assert_eq!(
            client("2001:db8::/32", "2001:db8:ffff::1", &["192.0.2.5"]),
            "192.0.2.5"
        );
        for bad in ["10.0.0.0/33", "::/129", "10.0.0.0/-1", "host", "10.0.0.0/"] {
            assert_eq!(bad.parse::<TrustedProxies>(), Err(NoNetworks), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_list_and_any_header_are_survived(list in any::<String>(), header in any::<Vec<u8>>()) {
            drop(list.parse::<TrustedProxies>());
            let all: TrustedProxies = "0.0.0.0/0,::/0".parse().unwrap();
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&header) {
                headers.append("x-forwarded-for", value);
            }
            all.client("192.0.2.1".parse().unwrap(), &headers);
        }
    }
}
