//! Command line sessions: what users type and what they are told.

#[test]
fn sessions() {
    let cases = trycmd::TestCases::new();
    cases.case("tests/cmd/*.trycmd");
    if cfg!(not(feature = "kafka")) {
        // Configs with a Kafka sink are in these.
        for verb in ["check", "explain", "test"] {
            cases.skip(format!("tests/cmd/{verb}.trycmd"));
        }
    }
}
