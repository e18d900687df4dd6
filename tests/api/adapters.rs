//! Which adapters can a caller ask for?

use penalty::gpu::Choice;
use penalty::{Error, Gpu, gpu};

#[test]
fn an_adapter_that_nobody_has_is_rejected_with_those_that_there_are() {
    let error = Gpu::open(&Choice::Named("no such adapter".into())).expect_err("there is none of that name");
    let Error::NoAdapter { request, found } = &error else { panic!("{error}") };
    assert_eq!(request, "is named like \"no such adapter\"");
    let adapters = gpu::adapters();
    assert_eq!(found == "none", adapters.is_empty());
    for adapter in adapters {
        assert!(found.contains(&adapter.get_info().name), "{found}");
    }
    assert_eq!(error.to_string(), format!("no adapter {request}; found {found}"));
}
