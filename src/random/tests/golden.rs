//! Golden vectors: the first samples of every law, to the bit. A change here changes the result of every scenario that uses
//! the law: it needs a reason, and a note to the users.

use super::*;
use std::fmt::Write;

#[test]
fn the_first_samples_of_every_law_are_as_ever() {
    let mut table = String::new();
    for (name, law) in gallery() {
        let bits = |n: u64| law.sample(&mut stream(n), n).to_bits();
        writeln!(table, "{:<24}{:016x} {:016x} {:016x}", name, bits(0), bits(1), bits(2)).unwrap();
    }
    assert!(table == GOLDEN, "the samples are now:\n{table}");
}

#[test]
fn the_edges_of_the_ziggurat_are_as_ever() {
    // Sums over many samples pass through every layer, edge and tail.
    let normals = (0..20_000).fold(0u64, |sum, n| {
        sum.rotate_left(1) ^ crate::random::standard_normal(&mut stream(n)).to_bits()
    });
    let exponentials = (0..20_000).fold(0u64, |sum, n| {
        sum.rotate_left(1) ^ crate::random::standard_exponential(&mut stream(n)).to_bits()
    });
    assert_eq!(format!("{normals:016x} {exponentials:016x}"), EDGES);
}

const EDGES: &str = "dd983b02230d27a0 b6d87c9124c61c4b";

const GOLDEN: &str = "\
constant                4004000000000000 4004000000000000 4004000000000000
uniform                 4010080e59b2216f bfc2529ea053f140 c00314e73fb659c0
exponential             405a160725fee6f0 404470a2633c8056 4010ebad6d9933e2
normal                  402293a75aedd653 402800b26f2007a3 40248dcd47012e24
absolute normal         402293a75aedd653 402800b26f2007a3 40248dcd47012e24
folded normal           3ff362c528914d66 3ff8059379003d1a 3fcc8cae3fb47702
log-normal              40640361edb4c609 406c17c41b0d64d6 4066a543bfdd5b63
log-normal from mean    4042e6b7e8b20b8b 4051efd79b658a6c 4047df4eb47e0333
pareto                  4004483239851321 40018ecb4f4a3249 400027919c17ffbd
weibull                 4010b9f966a2063e 3ff4bced445af886 3fb379370af95766
weibull steep           4009a5ec3eeb9e7f 40044aa6785f2d88 3ff7047995e0d0f8
gamma                   401af1a92611afe6 402ffd3144e71cba 40230403b9f27e98
gamma small             3fb82cb56898e420 3ffc6c01777f7790 3fd714e94b7de98d
beta                    3fbf32b6d3b67a42 3fd6df11b1573749 3fd2b77833c619a0
beta small              3ff0e89f59dd8bc7 400196772ad2a768 40034a5a87795141
poisson small           4014000000000000 4000000000000000 3ff0000000000000
poisson                 4022000000000000 4022000000000000 4031000000000000
poisson large           4094040000000000 4093100000000000 4092540000000000
zipf                    3ff0000000000000 4026000000000000 404e000000000000
zipf harmonic           3ff0000000000000 4051400000000000 4081900000000000
zipf flat               4008000000000000 402a000000000000 4033000000000000
zipf steep              3ff0000000000000 3ff0000000000000 4000000000000000
bernoulli               0000000000000000 0000000000000000 3ff0000000000000
mixture                 401ed7af961860fe c0007634019f08ec bfd8e50c92636ec6
shifted                 40404de6c1e65859 403f05a1b8296cd1 403e1b12af15c1ed
scaled                  4022000000000000 4012000000000000 3ff8000000000000
truncated, most         402293a75aedd653 402800b26f2007a3 40248dcd47012e24
truncated, tail         4030bf32472e623c 403035d62da94a0c 40300a384ea829fb
truncated, left tail    4058af4ecc7dce47 4056c5169d6c5be3 40542804c8dc68bc
truncated exponential   403a4313b8cd9879 40355348cc3ead5b 40343d694b5044cc
truncated gamma         401af1a92611afe6 402ffd3144e71cba 40230403b9f27e98
truncated gamma, tail   405147a7adaa1b3d 404ef8d99315c53a 404e2d1bb8d2b6ea
truncated poisson       4022000000000000 4014000000000000 4008000000000000
truncated mixture       4020d7af961860fe 401d43b7575fb484 4020617180c2a6f3
empirical               3ff8000000000000 401d000000000000 4029000000000000
replay                  4029000000000000 4008000000000000 401d000000000000
";
