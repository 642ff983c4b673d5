use buttress_core::SettingError;
use buttress_core::setting::check_range;
use std::net::{IpAddr, Ipv6Addr};

/// How much of an IPv6 address tells a client apart.
///
/// A single client commands at least a /64 (RFC 6177), so whoever counts whole addresses gives it
/// 2⁶⁴ limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ipv6Prefix(u8);

impl Default for Ipv6Prefix {
    fn default() -> Self {
        Self(64)
    }
}

impl Ipv6Prefix {
    pub(super) fn new(bits: u8) -> Result<Self, SettingError> {
        check_range("ipv6_prefix", bits, 1..=128).map(Self)
    }

    /// The part of `address` that tells a client apart. An IPv4 address in IPv6 form is IPv4.
    pub(super) fn of(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let mask = u128::MAX << (128 - u32::from(self.0));
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(bits: u8, address: &str) -> String {
        let prefix = Ipv6Prefix::new(bits).unwrap();
        prefix.of(address.parse().unwrap()).to_string()
    }

    #[test]
    fn ipv6_clients_are_told_apart_by_their_network() {
        assert_eq!(masked(64, "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(masked(48, "2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
        assert_eq!(masked(128, "2001:db8::1"), "2001:db8::1");
        assert_eq!(masked(1, "ffff::1"), "8000::");
    }

    #[test]
    fn ipv4_is_whole_whatever_its_form() {
        assert_eq!(masked(64, "192.0.2.7"), "192.0.2.7");
        assert_eq!(masked(64, "::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn a_prefix_has_1_to_128_bits() {
        assert_eq!(Ipv6Prefix::new(0).unwrap_err().field(), "ipv6_prefix");
        assert!(Ipv6Prefix::new(129).is_err());
    }
}
