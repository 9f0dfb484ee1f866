//! Agents that err: their answers to what they are asked.
//!
//! A question is a number whose lowest bit is what an answer without error would say: 1 for yes. Whoever asks doesn't look at it; it
//! stands for what is so. Agents that run the same model err together: given the question, each errs with a probability drawn from a
//! beta law, so that the number of those that err is beta-binomial, with the stated correlation between any two.

use crate::kernel::Key;
use crate::random::Law;
use crate::world::population::purpose;

/// The answer of an agent that abstains.
pub const ABSTAINED: u64 = 2;

/// How the answers of a group's agents go wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Errs {
    /// The probability that a result is wrong.
    pub wrong: f64,
    /// The probability of a yes where no is right.
    pub false_alarms: f64,
    /// The probability of a no where yes is right.
    pub misses: f64,
    /// The probability that an agent doesn't say.
    pub abstains: f64,
    /// The name of the model that they run, which they err with.
    pub model: Option<String>,
    /// The correlation between the errors of two agents that run it, from 0 to 1.
    pub correlation: f64,
    /// The probability that a step of a handler is done again though it is done.
    pub repeats: f64,
    /// The probability that an agent doesn't notice that it is through with a handler, and goes through it again.
    pub unaware: f64,
    /// The probability that an agent is a slow one, and by how much its thinking times are multiplied then.
    pub slow: Option<(f64, f64)>,
}

/// What is done again: the word `c` of [`What::Redone`](crate::world::record::What::Redone).
pub mod again {
    /// A step of a handler begins again.
    pub const STEP: u64 = 0;
    /// A step that was begun again is over.
    pub const STEP_OVER: u64 = 1;
    /// A handler begins again.
    pub const ROUND: u64 = 2;
}

impl Errs {
    /// By how much the thinking times of the agent with this key are multiplied.
    pub(super) fn slowed(&self, own: Key) -> f64 {
        match self.slow {
            Some((share, factor)) if own.stream(purpose::PACE, 0).chance(share) => factor,
            _ => 1.0,
        }
    }

    /// An agent's answer to a question about something: it draws under its own key and, for what it shares with others, under
    /// that of its model. What isn't asked for a judgement is a result, of which yes says that it is wrong.
    pub(super) fn answer(&self, question: u64, judges: bool, about: u64, own: Key, model: Key) -> u64 {
        let mut draws = own.stream(purpose::ERROR, about);
        if draws.chance(self.abstains) {
            return ABSTAINED;
        }
        let mean = match question & 1 {
            _ if !judges => self.wrong,
            1 => self.misses,
            _ => self.false_alarms,
        };
        let given = self.given_the_question(mean, question, about, model);
        question ^ u64::from(draws.chance(given))
    }

    /// The probability that an agent errs about this question, which all agents of its model share. With mean p and correlation r it is
    /// beta of shapes p(1 - r)/r and (1 - p)(1 - r)/r.
    fn given_the_question(&self, mean: f64, question: u64, about: u64, model: Key) -> f64 {
        let correlation = self.correlation;
        if correlation <= 0.0 || mean <= 0.0 || mean >= 1.0 {
            return mean;
        }
        let mut shared = model.member(question & 1).stream(purpose::ERROR, about);
        if correlation >= 1.0 {
            return f64::from(u8::from(shared.chance(mean)));
        }
        let weight = (1.0 - correlation) / correlation;
        let law = Law::Beta {
            a: mean * weight,
            b: (1.0 - mean) * weight,
            low: 0.0,
            high: 1.0,
        };
        law.sample(&mut shared, about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errs(correlation: f64) -> Errs {
        Errs {
            wrong: 0.5,
            false_alarms: 0.3,
            misses: 0.1,
            abstains: 0.0,
            model: Some("m".to_string()),
            correlation,
            repeats: 0.0,
            unaware: 0.0,
            slow: None,
        }
    }

    /// How often both of two agents err about a question whose answer is no, and how often the first does.
    fn together(errs: &Errs) -> (f64, f64) {
        let root = Key::root(3, 0);
        let model = root.child("m");
        let of = |agent: u64, about: u64| errs.answer(0, true, about, root.member(agent), model) == 1;
        let all = 40_000;
        let both = (0..all).filter(|about| of(1, *about) && of(2, *about)).count();
        let one = (0..all).filter(|about| of(1, *about)).count();
        (both as f64 / all as f64, one as f64 / all as f64)
    }

    #[test]
    fn agents_of_one_model_err_together_as_much_as_is_stated() {
        for correlation in [0.0, 0.25, 0.8, 1.0] {
            let (both, one) = together(&errs(correlation));
            let expected = 0.3 * 0.3 + correlation * 0.3 * 0.7;
            // Four standard errors of 40,000 trials.
            assert!((both - expected).abs() < 0.01, "{correlation}: {both} and {expected}");
            assert!((one - 0.3).abs() < 0.01, "{correlation}: {one}");
        }
    }

    #[test]
    fn whoever_abstains_says_neither_yes_nor_no() {
        let errs = Errs {
            abstains: 1.0,
            ..errs(0.0)
        };
        let key = Key::root(1, 0);
        assert_eq!(errs.answer(1, true, 7, key, key), ABSTAINED);
    }

    #[test]
    fn results_are_wrong_as_often_as_is_said_whatever_is_said_of_judgements() {
        let errs = Errs {
            wrong: 0.0,
            false_alarms: 1.0,
            ..errs(0.0)
        };
        let key = Key::root(1, 0);
        assert_eq!(errs.answer(0, false, 7, key, key), 0);
        assert_eq!(errs.answer(0, true, 7, key, key), 1);
    }
}
