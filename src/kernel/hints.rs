//! The one place with `unsafe`: asking the processor to fetch a cache line before it is needed, and the system for large pages.
//!
//! A kernel whose pending state exceeds the caches is bound by memory latency, and the queue knows the coming entities early.
//! Where the state exceeds what the processor's table of pages covers, a walk through that table comes on top; pages of two
//! megabytes leave little of it. Neither hint changes anything that a program can observe.

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

/// The size of a large page.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// Asks for large pages where the list has room for more than it holds: to be called once the room is made, before it is
/// filled. Without effect on small lists, on other systems than Linux, and where the system gives no large pages on request
/// (`/sys/kernel/mm/transparent_hugepage/enabled`).
#[allow(unsafe_code)]
pub fn in_large_pages<T>(list: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        let room = list.spare_capacity_mut();
        let (from, bytes) = (room.as_mut_ptr().addr(), size_of_val(room));
        let (first, last) = (from.next_multiple_of(LARGE), (from + bytes) / LARGE * LARGE);
        if first < last {
            // SAFETY: the range lies inside the list's own allocation, which is mapped and stays so for this call; the advice
            // changes neither what the memory holds nor how it may be accessed. If it fails, nothing is lost.
            unsafe {
                libc::madvise(
                    std::ptr::without_provenance_mut(first),
                    last - first,
                    libc::MADV_HUGEPAGE,
                );
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = list;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_prefetch_leaves_the_value_alone() {
        let values = [7u64; 100];
        values.iter().for_each(super::prefetch);
        assert_eq!(values, [7; 100]);
    }

    #[test]
    fn large_pages_leave_what_is_there_alone() {
        for room in [0, 1, 1000, 1 << 20] {
            let mut list: Vec<u64> = vec![1, 2, 3];
            list.reserve_exact(room);
            super::in_large_pages(&mut list);
            list.extend(4..room as u64);
            assert!(list.iter().copied().eq(1..(room as u64).max(4)));
            list.shrink_to_fit();
            super::in_large_pages(&mut list);
        }
    }
}
