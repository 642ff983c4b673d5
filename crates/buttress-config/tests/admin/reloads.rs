use crate::asking::{BREAKER, ask, post};
use buttress_config::{Admin, Document, Format, Reload, Rules};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const FILE: &str = "[upstream.payments]\n";

#[tokio::test]
async fn a_change_by_hand_survives_reloads_at_the_same_time() {
    let rules = Rules::from_toml(FILE).unwrap();
    let router = Admin::new(rules.clone()).router();
    let done = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&done);
    let reloads = std::thread::spawn(move || {
        let mut number = 1;
        while !until.load(Ordering::Relaxed) {
            number = number % 50 + 1;
            let breaker = format!("circuit_breaker = {{ consecutive_failures = {number} }}");
            let text = format!("{FILE}{breaker}");
            let document = Document::parse("test", &text, Format::Toml).unwrap();
            assert_eq!(rules.replace(document), Ok(Reload::Changed));
        }
    });
    let mut lost = 0;
    for _ in 0..300 {
        for (action, before) in [("open", "closed"), ("close", "forced open")] {
            let body = json!({ "policy": BREAKER, "action": action });
            let (_, answer) = ask(&router, post("/breaker", body)).await;
            lost += u32::from(answer["before"] != before);
        }
    }
    done.store(true, Ordering::Relaxed);
    reloads.join().unwrap();
    assert_eq!(lost, 0);
}
