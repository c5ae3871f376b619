//! Phone numbers as the Sticky Calls API takes them.

/// What networks send for a number that the caller withholds: ANONYMOUS, UNAVAILABLE, RESTRICTED, UNKNOWN and BLOCKED,
/// spelled on a telephone's keys. Telephony projects filter them; whether Connect passes them on is not documented. As a
/// number each would be one customer, and all anonymous callers that one.
const WITHHELD: [&str; 5] = ["+266696687", "+86282452253", "+7378742833", "+8656696", "+2562533"];

/// A number in strict E.164: `+`, then 7 to 15 digits, the first not 0.
///
/// What Connect sends for a withheld number is undocumented, so everything else (`anonymous`, `sip:…`, a short code,
/// the empty string) is no number.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Takes an endpoint's address, or `None` where it is no number.
    pub fn parse(address: &str) -> Option<Self> {
        let digits = address.strip_prefix('+')?;
        let valid = (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| Self(address.to_owned()))
    }

    /// Whether it stands for a number that was withheld.
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
    fn a_number_in_strict_e164_is_taken() {
        for number in ["+1234567", "+12025550123", "+123456789012345"] {
            assert_eq!(PhoneNumber::parse(number).unwrap().as_str(), number);
        }
    }

    #[test]
    fn a_withheld_number_or_anything_else_is_no_number() {
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
    fn a_log_shows_two_digits_of_a_number() {
        let number = PhoneNumber::parse("+12025550123").unwrap();
        assert_eq!(number.last_two_digits(), "23");
        assert_eq!(format!("{number:?}"), "PhoneNumber(…23)");
    }
}
