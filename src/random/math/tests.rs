//! The special functions against statrs, against known values, and against each other.

use super::*;
use statrs::distribution::{Binomial, Continuous, ContinuousCDF, Discrete, Normal, Poisson, StudentsT};
use statrs::function::{beta::beta_reg, gamma::gamma_lr, gamma::gamma_ur};

fn close(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    let error = (ours - theirs).abs() / theirs.abs().max(1e-300);
    assert!(
        error <= tolerance,
        "{what}: {ours:e} against {theirs:e}, relative error {error:e}"
    );
}

#[test]
fn the_normal_matches_statrs_and_known_values() {
    let oracle = Normal::new(0.0, 1.0).unwrap();
    for i in -80..=80 {
        let x = i as f64 / 10.0;
        close(normal_cdf(x), oracle.cdf(x), 1e-9, "cdf");
        close(normal_survival(x), oracle.sf(x), 1e-9, "survival");
        close(normal_density(x), oracle.pdf(x), 1e-13, "density");
    }
    // From tables to 16 digits (mpmath).
    close(normal_quantile(0.975), 1.959963984540054, 3e-16, "97.5 %");
    close(normal_quantile(0.995), 2.5758293035489004, 3e-16, "99.5 %");
    close(normal_quantile(1e-20), -9.262340089798408, 4e-16, "1e-20");
    close(normal_cdf(-9.262340089798408), 1e-20, 1e-13, "back from 1e-20");
    assert_eq!(normal_quantile(0.5), 0.0);
    assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
    assert_eq!(normal_quantile(1.0), f64::INFINITY);
    assert!(normal_quantile(-0.1).is_nan() && normal_quantile(1.1).is_nan() && normal_quantile(f64::NAN).is_nan());
}

#[test]
fn the_normal_quantile_inverts_the_distribution_function() {
    for i in 1..2000 {
        let p = i as f64 / 2000.0;
        close(normal_cdf(normal_quantile(p)), p, 2e-15, "round trip");
    }
    for exponent in 1..300 {
        let p = pow(10.0, -exponent as f64);
        close(normal_cdf(normal_quantile(p)), p, 2e-12, "round trip in the tail");
    }
}

#[test]
fn the_incomplete_gamma_matches_statrs() {
    for a in [1e-3, 0.1, 0.5, 1.0, 1.5, 3.0, 10.0, 55.5, 300.0] {
        for x in [1e-4, 0.01, 0.3, 0.9, 1.0, 2.5, 9.0, 11.0, 60.0, 280.0, 330.0] {
            let (p, q) = incomplete_gamma(a, x);
            assert!((p - gamma_lr(a, x)).abs() < 1e-11, "P({a}, {x})");
            assert!((q - gamma_ur(a, x)).abs() < 1e-11, "Q({a}, {x})");
        }
    }
    // The tails keep their own digits: Q(1, x) = exp(-x), P(a, x) → x^a / Γ(a + 1).
    close(incomplete_gamma(1.0, 600.0).1, exp(-600.0), 1e-12, "Q(1, 600)");
    close(incomplete_gamma(2.0, 1e-8).0, 0.5e-16, 1e-7, "P(2, 1e-8)");
    // A gamma of a large shape is nearly normal; the first Edgeworth term is 1 / (3 √(2π a)).
    let (p, q) = incomplete_gamma(1e8, 1e8);
    close(
        p,
        0.5 + 1.0 / (3.0 * sqrt(2.0 * std::f64::consts::PI * 1e8)),
        1e-12,
        "P(1e8, 1e8)",
    );
    assert_eq!(p + q, 1.0);
}

#[test]
fn the_incomplete_beta_matches_statrs_and_identities() {
    for a in [0.01, 0.5, 1.0, 2.0, 7.5, 40.0, 200.0] {
        for b in [0.02, 0.5, 1.0, 3.0, 11.0, 90.0] {
            for x in [1e-6, 0.01, 0.2, 0.5, 0.73, 0.99, 1.0 - 1e-6] {
                let (below, above) = incomplete_beta(a, b, x, 1.0 - x);
                assert!((below - beta_reg(a, b, x)).abs() < 1e-11, "I_{x}({a}, {b})");
                assert!((below + above - 1.0).abs() < 1e-15);
            }
        }
    }
    // I_x(a, 1) = x^a, and the tail near 1 keeps its digits: I_y(1, a) = 1 - (1 - y)^a.
    close(incomplete_beta(3.0, 1.0, 1e-5, 1.0 - 1e-5).0, 1e-15, 1e-13, "x³");
    close(
        incomplete_beta(3.0, 1.0, 1.0 - 1e-20, 1e-20).1,
        0.0,
        f64::INFINITY,
        "rounded away",
    );
    close(incomplete_beta(3.0, 2.0, 1.0, 1e-10).1, 6e-20, 1e-9, "near 1");
    // Symmetric shapes have their median at one half, however large.
    close(incomplete_beta(1e8, 1e8, 0.5, 0.5).0, 0.5, 1e-10, "median");
}

#[test]
fn students_t_matches_statrs_and_known_values() {
    for df in [1.0, 1.5, 2.0, 2.5, 3.0, 4.7, 9.0, 19.0, 30.5, 120.0, 1000.0] {
        let oracle = StudentsT::new(0.0, 1.0, df).unwrap();
        for i in -60..=60 {
            let t = i as f64 / 6.0;
            close(
                student_t_cdf(t, df),
                oracle.cdf(t),
                1e-9,
                &format!("cdf at {t}, df {df}"),
            );
        }
    }
    // Two-sided 95 % and 99 % (mpmath, 17 digits).
    let known = [
        (0.975, 1.0, 12.706204736174705),
        (0.975, 2.0, 4.302652729749464),
        (0.975, 3.0, 3.1824463052837096),
        (0.975, 4.0, 2.7764451051977944),
        (0.975, 9.0, 2.2621571627982055),
        (0.975, 19.0, 2.0930240544083098),
        (0.975, 29.0, 2.0452296421327043),
        (0.995, 5.0, 4.032142983555228),
        (0.995, 99.0, 2.6264054572808275),
    ];
    for (p, df, t) in known {
        close(student_t_quantile(p, df), t, 1e-13, &format!("{p} at df {df}"));
        close(
            student_t_quantile(1.0 - p, df),
            -t,
            1e-13,
            &format!("{p} at df {df}, mirrored"),
        );
    }
    // It becomes the normal.
    close(student_t_quantile(0.975, 1e8), 1.959963984540054, 1e-7, "df 1e8");
    assert_eq!(student_t_quantile(0.5, 7.0), 0.0);
    assert_eq!(student_t_quantile(0.0, 7.0), f64::NEG_INFINITY);
    assert_eq!(student_t_quantile(1.0, 7.0), f64::INFINITY);
    assert!(student_t_quantile(0.5, 0.0).is_nan() && student_t_cdf(1.0, f64::NAN).is_nan());
}

#[test]
fn students_t_quantile_inverts_the_distribution_function() {
    for df in [0.7, 1.0, 1.3, 2.0, 2.01, 3.0, 7.7, 29.0, 400.0, 1e6] {
        for p in [
            1e-12, 1e-6, 0.001, 0.025, 0.1, 0.2499, 0.25, 0.2501, 0.4, 0.4999, 0.6, 0.75, 0.9, 0.975, 0.9999,
        ] {
            let t = student_t_quantile(p, df);
            close(student_t_cdf(t, df), p, 1e-12, &format!("{p} at df {df}"));
        }
    }
    // The closed forms meet the general one.
    for p in [0.001, 0.2, 0.3, 0.45, 0.501, 0.8, 0.99] {
        close(
            student_t_quantile(p, 1.0),
            student_t_quantile(p, 1.0 + 1e-13),
            1e-10,
            "df 1",
        );
        close(
            student_t_quantile(p, 2.0),
            student_t_quantile(p, 2.0 + 1e-13),
            1e-10,
            "df 2",
        );
    }
}

#[test]
fn the_densities_match_statrs() {
    for mean in [0.2, 3.0, 25.0, 900.0] {
        let oracle = Poisson::new(mean).unwrap();
        for k in [0, 1, 2, 5, 17, 40, 850, 1000] {
            let theirs = oracle.ln_pmf(k);
            assert!(
                (ln_poisson_density(k as f64, mean) - theirs).abs() < 1e-9 * theirs.abs().max(1.0),
                "{k} at {mean}"
            );
        }
    }
    let oracle = Binomial::new(0.3, 50).unwrap();
    for k in 1..50 {
        close(
            gamma::binomial_density(k as f64, (50 - k) as f64, 0.3, 0.7),
            oracle.pmf(k),
            1e-10,
            "binomial",
        );
    }
}

#[test]
fn harmonic_numbers_match_their_sums() {
    for s in [-1.9, -0.5, 0.0, 0.3, 0.9, 1.0, 1.000001, 1.5, 2.0, 3.7, 12.0, 60.0] {
        for n in [1, 2, 64, 65, 100, 5000] {
            let direct: f64 = (1..=n).rev().map(|i| pow(i as f64, -s)).sum();
            close(harmonic(n as f64, s), direct, 2e-13, &format!("H({n}, {s})"));
        }
    }
    close(
        harmonic(1e15, 2.0),
        std::f64::consts::PI * std::f64::consts::PI / 6.0,
        1e-14,
        "ζ(2)",
    );
    close(
        harmonic(1e12, 1.0),
        ln(1e12) + 0.577_215_664_901_532_9 + 0.5e-12,
        1e-15,
        "ln n + γ",
    );
    assert_eq!(harmonic(0.0, 1.0), 0.0);
}

#[test]
fn floats_order_as_their_integers_do() {
    let values = [
        f64::NEG_INFINITY,
        -f64::MAX,
        -1.0,
        -f64::MIN_POSITIVE,
        -0.0,
        0.0,
        5e-324,
        1.0,
        2.5,
        f64::MAX,
        f64::INFINITY,
    ];
    assert!(values.windows(2).all(|pair| to_order(pair[0]) < to_order(pair[1])));
    assert!(values.iter().all(|&x| from_order(to_order(x)).to_bits() == x.to_bits()));
    assert_eq!(before(1.0), 1.0 - f64::EPSILON / 2.0);
    assert_eq!(before(0.0), -5e-324);
    assert_eq!(before(-0.0), -5e-324);
    assert_eq!(before(f64::INFINITY), f64::MAX);
    assert_eq!(before(f64::NEG_INFINITY), f64::NEG_INFINITY);
}

#[test]
fn halving_the_floats_finds_the_first_that_satisfies() {
    assert_eq!(least(-f64::MAX, f64::MAX, |x| x >= -2.5e-200), -2.5e-200);
    assert_eq!(least(0.0, f64::MAX, |x| x * x >= 2.0), std::f64::consts::SQRT_2);
    assert_eq!(least(0.0, 7.0, |_| false), 7.0);
    assert_eq!(least(3.0, 7.0, |_| true), 3.0);
}
