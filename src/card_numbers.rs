//! Masks payment card numbers in every text before it is sent anywhere.

use std::ops::Range;

/// The text that replaces a card number.
const MASK: &str = "[card number]";

/// How many digits a card number has (ISO/IEC 7812 and what the schemes issue).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Replaces every card number in `text` by `[card number]`: 13 to 19 digits, with or without spaces and dashes between
/// them, whose Luhn check digit holds.
///
/// Only whole groups of digits are tried, as they were written, because one in ten runs of digits passes the check by
/// chance. So a card number beside its security code is found; after a phone number, some of that number's digits may be
/// masked too.
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = Cursor(text);
    while let Some((before, groups)) = rest.next_groups() {
        masked.push_str(before);
        mask_groups(&groups, &mut masked);
    }
    masked.push_str(rest.0);
    masked
}

/// Digits that were written together, and the spaces and dashes after them.
struct Group<'a> {
    digits: &'a str,
    gap: &'a str,
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// The text before the next digit, and the digit groups that follow with nothing but spaces and dashes between
    /// them.
    fn next_groups(&mut self) -> Option<(&'a str, Vec<Group<'a>>)> {
        let before = self.take_while(|c| !c.is_ascii_digit());
        let mut groups = Vec::new();
        loop {
            let digits = self.take_while(|c| c.is_ascii_digit());
            if digits.is_empty() {
                break;
            }
            let gap = self.take_while(is_gap);
            groups.push(Group { digits, gap });
        }
        if groups.is_empty() {
            self.0 = before;
            return None;
        }
        Some((before, groups))
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }
}

/// Spaces and dashes, as people type them and as word processors replace them.
fn is_gap(c: char) -> bool {
    let is_line_break = matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let is_dash = matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    is_dash || c.is_whitespace() && !is_line_break
}

/// Copies `groups`, and replaces every run of groups that is a card number.
fn mask_groups(groups: &[Group<'_>], masked: &mut String) {
    let runs = card_numbers(groups);
    let mut runs = runs.iter().peekable();
    for (index, group) in groups.iter().enumerate() {
        match runs.peek() {
            Some(run) if run.contains(&index) => {
                if index + 1 == run.end {
                    runs.next();
                    masked.push_str(MASK);
                    masked.push_str(group.gap);
                }
            }
            _ => {
                masked.push_str(group.digits);
                masked.push_str(group.gap);
            }
        }
    }
}

/// The runs of groups that are card numbers, from left to right. Runs that share a group are joined: a number before a
/// card may pass the check by chance together with the card's beginning. Then the card's end must be masked as well.
fn card_numbers(groups: &[Group<'_>]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for start in 0..groups.len() {
        let Some(run) = longest_card_number(groups, start) else { continue };
        match runs.last_mut() {
            Some(last) if run.start < last.end => last.end = last.end.max(run.end),
            _ => runs.push(run),
        }
    }
    runs
}

/// The longest run of groups from `start` on that is a card number.
fn longest_card_number(groups: &[Group<'_>], start: usize) -> Option<Range<usize>> {
    // Each group has at least one digit, so a run has at most as many groups as a card number has digits.
    (1..=*DIGITS.end())
        .rev()
        .map(|count| start..start + count)
        .find(|run| groups.get(run.clone()).is_some_and(is_card_number))
}

fn is_card_number(run: &[Group<'_>]) -> bool {
    DIGITS.contains(&run.iter().map(|group| group.digits.len()).sum())
        && luhn_holds(run.iter().flat_map(|group| group.digits.bytes()))
}

/// The check of ISO/IEC 7812-1, annex B: from the right, every second digit counts twice.
fn luhn_holds(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .map(|digit| u32::from(digit - b'0'))
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit @ 0..5) => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_card_number_is_masked_however_it_was_written() {
        for number in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111 – 1111 – 1111 – 1111",
            "4111\u{a0}1111\u{2007}1111\u{3000}1111",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "378282246310005",
            "4222222222222",
            "6304000000000000000",
        ] {
            assert_eq!(mask(&format!("card {number}, thanks")), "card [card number], thanks", "{number}");
        }
    }

    #[test]
    fn a_card_number_is_found_beside_other_numbers() {
        assert_eq!(mask("4111 1111 1111 1111 123"), "[card number] 123");
        assert_eq!(mask("call 5551234 4111111111111111 12"), "call 5551234 [card number] 12");
        assert_eq!(mask("4111111111111111 378282246310005"), "[card number] [card number]");
        assert_eq!(mask("exp 12/27 4111111111111111/123"), "exp 12/27 [card number]/123");
    }

    #[test]
    fn a_card_number_is_masked_to_its_end_behind_a_number_that_passes_the_check_by_chance() {
        // 202 555 0108 4111 passes the check too.
        assert_eq!(mask("202 555 0108 4111 1111 1111 1111"), "[card number]");
    }

    #[test]
    fn other_digits_stay_as_they_are() {
        for text in [
            "",
            "no digits",
            "order 1234567890123",
            "4111111111111112",
            "411111111111",
            "99999999994111111111111111",
            "+1 202 555 0123",
            "Größe 42 – ok",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    proptest! {
        #[test]
        fn masking_never_changes_a_text_without_digits(text in "[^0-9]*") {
            prop_assert_eq!(mask(&text), text);
        }

        #[test]
        fn a_card_number_is_gone_whatever_digits_stand_around_it(before in "[0-9 -]{0,24}", after in "[0-9 -]{0,24}") {
            let masked = mask(&format!("{before} 4111 1111 1111 1111 {after}"));
            prop_assert!(!masked.contains("1111 1111 1111"), "{}", masked);
        }

        #[test]
        fn masking_a_masked_text_changes_nothing(text in "[0-9 a-]{0,80}") {
            let once = mask(&text);
            prop_assert_eq!(mask(&once), once);
        }
    }
}
