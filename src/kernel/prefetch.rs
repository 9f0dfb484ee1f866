//! The one place with `unsafe`: asking the processor to fetch a cache line before it is needed.
//!
//! A kernel whose pending state exceeds the caches is bound by memory latency, and the queue knows the coming entities early.
//! A prefetch reads nothing and changes nothing that a program
//! can observe.

/// Hints that the cache line of `value` will be read and written soon. Without effect on other platforms than x86-64.
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is part of SSE, which every x86-64 processor has, and it never faults: the address is that of a
    // live reference, and even an invalid one would be ignored.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_prefetch_leaves_the_value_alone() {
        let values = [7u64; 100];
        values.iter().for_each(super::prefetch);
        assert_eq!(values, [7; 100]);
    }
}
