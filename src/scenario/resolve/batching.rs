//! The `batching` of inference endpoints.

use super::Resolver;
use crate::scenario::language::Service;
use crate::scenario::language::services::{Batching as Written, Discipline, Servers, ServiceTime};
use crate::scenario::syntax::quantity::Zero;
use crate::scenario::syntax::{Code, Diagnostic, Span, Spanned};
use crate::services::Batching;

impl Resolver<'_, '_> {
    pub(super) fn batching(&mut self, service: &Service, written: &Spanned<Written>) -> Option<Batching> {
        let mut refused = |message: &str, help: &str| {
            let problem = Diagnostic::error(Code::BadBatching, written.span.head(9), message);
            self.out.push(problem.help(help.to_string()));
        };
        let works = |time: &ServiceTime| match time {
            ServiceTime::Law(law) => law.span != Span::default(),
            ServiceTime::Tokens { .. } => true,
        };
        let mut good = true;
        if matches!(service.servers.get(), Some(Servers::Count(_))) {
            refused(
                "an inference endpoint has no `servers`: it works on a batch at once",
                "`max_batch` says how many requests are in it",
            );
            good = false;
        }
        if service.time.get().is_some_and(works) {
            refused(
                "an inference endpoint has no `time`: it follows from its iterations",
                "`base`, `each_in`, `each_out` and `each_held` say how long they take",
            );
            good = false;
        }
        if matches!(
            service.discipline.get().map(|order| &order.value),
            Some(Discipline::Sharing)
        ) {
            refused(
                "requests of an inference endpoint don't share servers: `discipline` says who comes into the batch next",
                "take `Fifo`, `Lifo`, `Priority` or `ShortestFirst`",
            );
            good = false;
        }
        let batching = &written.value;
        let (tokens, kv) = (batching.tokens.get(), batching.kv.get());
        let (max_batch, block) = (batching.max_batch.get()?, batching.block.get()?);
        if let Some(tokens) = tokens.filter(|tokens| *tokens.value < **max_batch) {
            let message = format!(
                "an iteration takes in {} tokens, and {} sequences may have to be decoded in it",
                *tokens.value, **max_batch
            );
            let span = if tokens.span == Span::default() {
                written.span.head(9)
            } else {
                tokens.span
            };
            let problem = Diagnostic::error(Code::BadBatching, span, message);
            self.out.push(problem.help("`tokens` is at least `max_batch`"));
            good = false;
        }
        if let Some(kv) = kv.filter(|kv| *kv.value < u64::from(**block)) {
            let message = format!(
                "the cache of keys and values holds {} tokens, less than one block of {}",
                *kv.value, **block
            );
            self.error(Code::BadBatching, kv.span, message);
            good = false;
        }
        let (base, each_in, each_out) = (batching.base.get()?, batching.each_in.get()?, batching.each_out.get()?);
        if good && base.is_zero() && (each_in.is_zero() || each_out.is_zero()) {
            let message =
                "an iteration would take no time: without a `base` each token of a prompt and each sequence takes some";
            let problem = Diagnostic::error(Code::BadBatching, written.span.head(9), message);
            self.out
                .push(problem.help("measured values are some milliseconds for `base`, for example `base: \"8ms\"`"));
            good = false;
        }
        if !good {
            return None;
        }
        Some(Batching {
            max_batch: **max_batch,
            tokens: *tokens?.value,
            kv: *kv?.value,
            block: **block,
            prefix_cache: *batching.prefix_cache.get()?,
            base: *base,
            each_in: *each_in,
            each_out: *each_out,
            each_held: *batching.each_held.get()?,
        })
    }
}
