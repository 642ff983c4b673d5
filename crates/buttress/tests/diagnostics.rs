//! A service whose error cannot hold a rejection does not compile, and the compiler says what to
//! do.

// Each compiler words its own part of a message in its own way.
#[rustversion::attr(not(stable(1.95)), ignore = "the expected text is Rust 1.95's")]
#[test]
fn an_error_that_cannot_hold_a_rejection_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
