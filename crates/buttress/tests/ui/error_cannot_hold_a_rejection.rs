use buttress::{Plain, Timeout};
use std::time::Duration;
use tower::{Layer, Service, service_fn};

fn serve<S: Service<u32>>(_: S) {}

fn main() {
    let timeout = Timeout::new(Duration::from_secs(1)).unwrap();
    let service = service_fn(|number: u32| async move { Ok::<_, std::io::Error>(number) });
    serve(timeout.protocol(Plain::new()).layer(service));
}
