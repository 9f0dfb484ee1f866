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

const EDGES: &str = "033fef611c3d8513 763a620c9b23ade7";

const GOLDEN: &str = "\
constant                4004000000000000 4004000000000000 4004000000000000
uniform                 400ac47f7fdf6a80 401341a4713e7ca1 3fd82f9a5964edd0
exponential             404bc27184aea631 406e9ef4c36555cf 40501b51e9411941
normal                  4022466b9c786db2 402396be69d5bf00 40299b4025f36214
absolute normal         4022466b9c786db2 402396be69d5bf00 40299b4025f36214
folded normal           3ff5cca31c3c9270 3fe6941962a41003 40026d0097cd884f
log-normal              4063a3ae9fab6355 406551eda47b32ba 406f0dfb33b57f15
log-normal from mean    40423d5b712a4af7 40454d0678986af3 4055ad4f31ea2508
pareto                  400226dade124ebd 400beb71e1c79aca 400285e39c9e6239
weibull                 3ffe6770e3581d8c 40284dc57a22bcc6 40024f4c40670e9e
weibull steep           4005e7c225beee0d 400fbf7a3af86c2b 4006bc4d299165f0
gamma                   4019785917016cfc 4020269fd341bd87 4033d0cc60a899cf
gamma small             3ff53d4bdfd36bfa 3f2df85dd8e99aa4 3fe195417b60dcd4
beta                    3fc5c3364853e79d 3fd1326189ae67e4 3fdfae92273d3959
beta small              3ffbaa7170cca83a 3f6446dd13a10d65 40001e3c5dfe5086
poisson small           4014000000000000 401c000000000000 4008000000000000
poisson                 401c000000000000 4022000000000000 4022000000000000
poisson large           4093cc0000000000 40947c0000000000 40932c0000000000
zipf                    3ff0000000000000 3ff0000000000000 4020000000000000
zipf harmonic           4008000000000000 3ff0000000000000 4045000000000000
zipf flat               4014000000000000 3ff0000000000000 4028000000000000
zipf steep              3ff0000000000000 3ff0000000000000 3ff0000000000000
bernoulli               0000000000000000 0000000000000000 0000000000000000
mixture                 401f45e94e96ea28 40207b4faf10a678 bff260a767e6b20d
shifted                 403f635279d5884f 40420fe546bd5562 403f9c54fdb9b5ba
scaled                  4022000000000000 4028000000000000 4012000000000000
truncated, most         4022466b9c786db2 402396be69d5bf00 40299b4025f36214
truncated, tail         40309f98f05dd90e 4030f1821a5ec5e0 403041da91409c03
truncated, left tail    405874674c07c467 4058f17e2543f770 405719ec14536f87
truncated exponential   4038ba87fbfe6f5c 403f4939013ea77e 4035a551e2a8fe40
truncated gamma         4019785917016cfc 4020269fd341bd87 4033d0cc60a899cf
truncated gamma, tail   4050b9d03182bc38 40530f68d8edf3bd 404f34e2a73c4aa4
truncated poisson       4020000000000000 4014000000000000 4014000000000000
truncated mixture       3ff0cadc6d217c18 3ffab474469179c2 3ff6743b82872078
empirical               4020000000000000 3ff8000000000000 401d000000000000
replay                  4029000000000000 4008000000000000 401d000000000000
";
