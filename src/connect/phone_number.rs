//! Phone numbers as the Sticky Calls API takes them.

/// What networks send for a withheld number: ANONYMOUS, UNAVAILABLE, RESTRICTED, UNKNOWN and BLOCKED, spelled on a
/// telephone's keys. Telephony projects filter them; whether Connect passes them on is not documented. Taken as
/// numbers, they would turn all anonymous callers into one customer.
const WITHHELD: [&str; 5] = ["+266696687", "+86282452253", "+7378742833", "+8656696", "+2562533"];

/// A number in strict E.164: `+`, then 7 to 15 digits, the first not 0.
///
/// Everything else (`anonymous`, `sip:…`, a short code, the empty string) is refused, because what Connect sends for a
/// withheld number is not documented.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads an endpoint's address. Returns `None` if it is not a phone number.
    pub fn parse(address: &str) -> Option<Self> {
        let digits = address.strip_prefix('+')?;
        let valid = (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| Self(address.to_owned()))
    }

    /// Whether it stands for a withheld number.
    pub fn is_withheld(&self) -> bool {
        WITHHELD.contains(&self.as_str())
    }

    /// The whole number, for the API alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last two digits, for the log.
    pub fn last_two_digits(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default()
    }
}

/// Debug output ends up in logs, so it shows the last two digits only.
impl std::fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PhoneNumber(…{})", self.last_two_digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_strict_e164_is_a_phone_number() {
        for number in ["+1234567", "+12025550123", "+123456789012345"] {
            assert_eq!(PhoneNumber::parse(number).unwrap().as_str(), number);
        }
    }

    #[test]
    fn an_address_that_is_not_strict_e164_is_refused() {
        for address in [
            "",
            "+",
            "anonymous",
            "unknown",
            "restricted",
            "+0123456789",
            "+123456",
            "+1234567890123456",
            "12025550123",
            "+1 202 555 0123",
            "+1202555012a",
            "sip:+12025550123@example.com",
            " +12025550123",
            "+12025550123 ",
            "+１２０２５５５０１２３",
            "911",
            "jane@example.com",
        ] {
            assert_eq!(PhoneNumber::parse(address), None, "{address:?}");
        }
    }

    #[test]
    fn the_log_shows_only_the_last_two_digits_of_a_number() {
        let number = PhoneNumber::parse("+12025550123").unwrap();
        assert_eq!(number.last_two_digits(), "23");
        assert_eq!(format!("{number:?}"), "PhoneNumber(…23)");
    }
}
