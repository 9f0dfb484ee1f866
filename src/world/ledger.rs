//! What agents may spend, and have spent: budgets of an agent, a group, several groups or all, over all services.
//!
//! Guarantees: spending is counted where services count it, when work on a request begins, whatever becomes of its answer: each attempt
//! that is worked on costs, and work that begins anew after a crash costs again. A budget is looked at before a call is begun; what was
//! begun before that goes on, so that spending goes beyond a budget by what is under way, unless calls reserve what they are going to cost.

use super::call::Call;
use crate::kernel::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Amounts of what is spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Requests on which work began.
    pub calls: u64,
    /// Tokens, in and out together.
    pub tokens: u64,
    /// Nano-dollars.
    pub money: u64,
}

impl Amounts {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.money = self.money.saturating_add(other.money);
    }

    fn take(&mut self, other: Self) {
        self.calls -= other.calls;
        self.tokens -= other.tokens;
        self.money -= other.money;
    }

    fn plus(mut self, other: Self) -> Self {
        self.add(other);
        self
    }
}

/// Amounts that are allowed; what isn't said isn't bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Requests on which work begins.
    pub calls: Option<u64>,
    /// Tokens, in and out together.
    pub tokens: Option<u64>,
    /// Nano-dollars.
    pub money: Option<u64>,
}

impl Allowed {
    /// Which of these is passed by `amounts` (0 calls, 1 tokens, 2 money), after so much was granted beyond them. `whole`: whether having
    /// spent just as much counts.
    fn passed(&self, amounts: Amounts, granted: Amounts, whole: bool) -> Option<u64> {
        let is = |allowed: Option<u64>, granted: u64, amount: u64| {
            allowed.is_some_and(|allowed| {
                let allowed = allowed.saturating_add(granted);
                amount > allowed || (whole && amount == allowed)
            })
        };
        let all = [
            is(self.calls, granted.calls, amounts.calls),
            is(self.tokens, granted.tokens, amounts.tokens),
            is(self.money, granted.money, amounts.money),
        ];
        all.iter().position(|passed| *passed).map(|which| which as u64)
    }
}

/// Who has a budget of his own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// All whom it is about, together.
    All,
    /// Each group.
    Group,
    /// Each agent.
    Agent,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Whose it is.
    pub per: Owner,
    /// How much may be spent.
    pub allowed: Allowed,
    /// How many tokens a call reserves until work on it begins, in and out; `None`: nothing is reserved.
    pub reserve: Option<(u32, u32)>,
}

/// All budgets of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerSpec {
    /// The budgets.
    pub all: Vec<Budget>,
    /// By the numbers of groups in the directory: the budgets that agents of the group spend from.
    pub of_group: Vec<Vec<u16>>,
    /// By the numbers of groups in the directory: what the service of that number costs (a call, a token in, a token out), in nano-dollars.
    pub prices: Vec<[u64; 3]>,
}

/// An account in a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Account {
    spent: Amounts,
    reserved: Amounts,
    granted: Amounts,
    ran_out: bool,
}

/// What was spent of the budgets.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    #[serde(skip)]
    spec: Arc<LedgerSpec>,
    accounts: Vec<BTreeMap<u64, Account>>,
    /// What calls reserve on which work hasn't begun, by call: in each of its budgets, whose account.
    reserved: BTreeMap<u64, Vec<(u16, u64, Amounts)>>,
}

/// What a request cost in a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    /// The budget.
    pub budget: u16,
    /// Whose account.
    pub owner: u64,
    /// How much.
    pub cost: Amounts,
    /// What of the budget ran out by it: 0 calls, 1 tokens, 2 money.
    pub ran_out: Option<u64>,
}

impl Ledger {
    /// A ledger in which nothing was spent.
    pub fn new(spec: Arc<LedgerSpec>) -> Self {
        Self {
            accounts: vec![BTreeMap::new(); spec.all.len()],
            reserved: BTreeMap::new(),
            spec,
        }
    }

    /// Whose account an agent's spending is in: the agent has this key, and is of this group.
    pub fn owner(&self, budget: u16, group: u16, key: Key) -> u64 {
        match self.spec.all[usize::from(budget)].per {
            Owner::All => 0,
            Owner::Group => u64::from(group),
            Owner::Agent => key.bits(),
        }
    }

    fn cost(&self, service: u16, tokens_in: u32, tokens_out: u32) -> Amounts {
        let [call, each_in, each_out] = self.spec.prices.get(usize::from(service)).copied().unwrap_or([0; 3]);
        let of_in = each_in.saturating_mul(u64::from(tokens_in));
        let of_out = each_out.saturating_mul(u64::from(tokens_out));
        Amounts {
            calls: 1,
            tokens: u64::from(tokens_in) + u64::from(tokens_out),
            money: call.saturating_add(of_in).saturating_add(of_out),
        }
    }

    /// Whether a call of this service may not be begun any more: the account is spent, or hasn't enough left for what the call reserves.
    pub fn is_spent(&self, budget: u16, owner: u64, service: u16) -> bool {
        let described = &self.spec.all[usize::from(budget)];
        let account = self.accounts[usize::from(budget)]
            .get(&owner)
            .copied()
            .unwrap_or_default();
        let taken = account.spent.plus(account.reserved);
        let passed = match described.reserve {
            Some((tokens_in, tokens_out)) => {
                let cost = self.cost(service, tokens_in, tokens_out);
                described.allowed.passed(taken.plus(cost), account.granted, false)
            }
            None => described.allowed.passed(taken, account.granted, true),
        };
        passed.is_some()
    }

    /// A call begins: reserves what it is going to cost, where budgets say so.
    pub fn reserve(&mut self, call: u64, budget: u16, owner: u64, service: u16) {
        let Some((tokens_in, tokens_out)) = self.spec.all[usize::from(budget)].reserve else {
            return;
        };
        let cost = self.cost(service, tokens_in, tokens_out);
        let account = self.accounts[usize::from(budget)].entry(owner).or_default();
        account.reserved.add(cost);
        self.reserved.entry(call).or_default().push((budget, owner, cost));
    }

    /// A call reserves nothing any more: work on it has begun, or it is over.
    pub fn release(&mut self, call: u64) {
        for (budget, owner, cost) in self.reserved.remove(&call).unwrap_or_default() {
            if let Some(account) = self.accounts[usize::from(budget)].get_mut(&owner) {
                account.reserved.take(cost);
            }
        }
    }

    /// Work on a request of a call begins, at this service.
    pub fn bill(&mut self, call: &Call, group: u16, service: u16) -> Vec<Bill> {
        self.release(call.known_as());
        let spec = Arc::clone(&self.spec);
        let (tokens_in, tokens_out) = call.request.tokens();
        let cost = self.cost(service, tokens_in, tokens_out);
        let budgets = spec.of_group.get(usize::from(group)).map_or(&[][..], Vec::as_slice);
        let bills = budgets.iter().map(|&budget| {
            let owner = self.owner(budget, group, call.key);
            let account = self.accounts[usize::from(budget)].entry(owner).or_default();
            account.spent.add(cost);
            let allowed = &spec.all[usize::from(budget)].allowed;
            let ran_out = allowed.passed(account.spent, account.granted, true);
            let ran_out = ran_out.filter(|_| !std::mem::replace(&mut account.ran_out, true));
            Bill {
                budget,
                owner,
                cost,
                ran_out,
            }
        });
        bills.collect()
    }

    /// An account gets more.
    pub fn grant(&mut self, budget: u16, owner: u64, more: Amounts) {
        let allowed = self.spec.all[usize::from(budget)].allowed;
        let account = self.accounts[usize::from(budget)].entry(owner).or_default();
        account.granted.add(more);
        account.ran_out = allowed.passed(account.spent, account.granted, true).is_some();
    }
}

/// What happened to a budget: the third word of its records.
pub mod event {
    /// Work on a request began. Subject: the agent; a: the budget; b: tokens in (high) and out (low); extra: the money in nano-dollars, the
    /// account, the service.
    pub const BILLED: u64 = 0;
    /// It ran out. Subject: the agent whose request did it; a: the budget; b: 0 calls, 1 tokens, 2 money; extra: the account.
    pub const RAN_OUT: u64 = 1;
    /// It ended what an agent did. Subject: the agent; a: the budget; b: the activation.
    pub const STOPPED: u64 = 2;
    /// A call went to a cheaper service. Subject: the agent; a: the budget; b: the service it was meant for (high), and that it went to.
    pub const DEGRADED: u64 = 3;
    /// More was asked for. Subject: the agent; a: the budget; b: the ask's message.
    pub const ASKED: u64 = 4;
    /// More was granted. Subject: the agent; a: the budget; b: how long that took, in nanoseconds; extra: calls, tokens, money, the account.
    pub const GRANTED: u64 = 5;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{SimDuration, SimTime};
    use crate::world::call::Request;

    fn call(identity: u64, agent: u64, tokens: (u32, u32)) -> Call {
        Call {
            client: agent as u32,
            key: Key::root(1, 0).member(agent),
            idempotent: false,
            activation: 0,
            generation: 0,
            open: true,
            failed: false,
            counts: false,
            aimed: false,
            paths: 1,
            executed: 0,
            tries: 1,
            spec: 0,
            address: 0,
            identity,
            server: 0,
            began: SimTime::ZERO,
            backoff: SimDuration::ZERO,
            request: Request::Work {
                tokens_in: tokens.0,
                tokens_out: tokens.1,
                priority: 0,
                prompt: None,
            },
            terms: None,
        }
    }

    fn ledger(per: Owner, allowed: Allowed, reserve: Option<(u32, u32)>) -> Ledger {
        Ledger::new(Arc::new(LedgerSpec {
            all: vec![Budget { per, allowed, reserve }],
            of_group: vec![vec![], vec![0], vec![0], vec![]],
            prices: vec![[5, 2, 10]],
        }))
    }

    #[test]
    fn each_has_an_account_of_its_own_and_it_runs_out_once() {
        let allowed = Allowed {
            money: Some(100),
            ..Allowed::default()
        };
        let mut ledger = ledger(Owner::Agent, allowed, None);
        let one = call(1, 7, (10, 4));
        let owner = ledger.owner(0, 1, one.key);
        let bills = ledger.bill(&one, 1, 0);
        let cost = Amounts {
            calls: 1,
            tokens: 14,
            money: 65,
        };
        assert_eq!(
            bills,
            [Bill {
                budget: 0,
                owner,
                cost,
                ran_out: None
            }]
        );
        assert!(!ledger.is_spent(0, owner, 0));
        assert_eq!(ledger.bill(&one, 1, 0)[0].ran_out, Some(2));
        assert!(ledger.is_spent(0, owner, 0));
        assert_eq!(ledger.bill(&one, 1, 0)[0].ran_out, None);
        let other = call(2, 8, (10, 4));
        assert!(!ledger.is_spent(0, ledger.owner(0, 1, other.key), 0));
        assert_eq!(ledger.bill(&other, 3, 0), [], "a group that has no budget");
        // Ninety-five more than was allowed: a grant of as much isn't enough, one more is.
        ledger.grant(
            0,
            owner,
            Amounts {
                money: 95,
                ..Amounts::default()
            },
        );
        assert!(ledger.is_spent(0, owner, 0));
        ledger.grant(
            0,
            owner,
            Amounts {
                money: 1,
                ..Amounts::default()
            },
        );
        assert!(!ledger.is_spent(0, owner, 0));
        assert_eq!(ledger.bill(&one, 1, 0)[0].ran_out, Some(2), "it runs out again");
    }

    #[test]
    fn what_calls_reserve_is_never_spent_by_others() {
        let allowed = Allowed {
            tokens: Some(100),
            calls: Some(3),
            ..Allowed::default()
        };
        let mut ledger = ledger(Owner::All, allowed, Some((20, 20)));
        for identity in 0..2 {
            assert!(!ledger.is_spent(0, 0, 0));
            ledger.reserve(identity, 0, 0, 0);
        }
        assert!(ledger.is_spent(0, 0, 0), "20 are left, and 40 are needed");
        // One was cheaper than that, and the other is over without any work.
        ledger.bill(&call(0, 1, (10, 10)), 1, 0);
        assert!(!ledger.is_spent(0, 0, 0), "40 are left");
        ledger.reserve(2, 0, 0, 0);
        assert!(ledger.is_spent(0, 0, 0));
        ledger.release(1);
        assert!(!ledger.is_spent(0, 0, 0), "40 are left again");
        ledger.reserve(3, 0, 0, 0);
        ledger.release(2);
        assert!(!ledger.is_spent(0, 0, 0));
        ledger.bill(&call(3, 1, (0, 60)), 1, 0);
        assert!(ledger.is_spent(0, 0, 0));
        assert_eq!(ledger.reserved.len(), 0);
    }
}
