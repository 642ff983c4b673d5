//! `cargo run --release --example grpc`
//!
//! Starts a server, and a client that runs into each of its limits. The server goes on until
//! Ctrl-C, so that you can try it yourself.
#![allow(clippy::print_stdout, reason = "it tells what happens and what to try")]

use buttress_examples::grpc::greeter::{HelloRequest, greeter_client::GreeterClient};
use buttress_examples::grpc::{self, BURST, SLOTS};
use buttress_examples::{Stop, listen};
use tonic::transport::Endpoint;
use tower::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = listen(50051).await?;
    let address = listener.local_addr()?;
    let stop = Stop::at_signal()?;
    println!("listening on http://{address}");
    let server = tokio::spawn(grpc::serve(listener, stop.clone().asked()));

    show(address).await?;

    println!(
        "
    grpcurl -plaintext -proto examples/proto/greeter.proto -d '{{\"name\": \"you\"}}' \\
        {address} greeter.v1.Greeter/SayHello

Ctrl-C stops it."
    );
    tokio::select! {
        result = server => result??,
        () = stop.overdue() => {}
    }
    println!("stopped");
    Ok(())
}

async fn show(address: std::net::SocketAddr) -> Result<(), BoxError> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let client = grpc::client(channel.clone())?;
    let say = |delay_ms| HelloRequest {
        name: "client".to_owned(),
        delay_ms,
    };

    println!("\nA call of a minute, to a server that gives nobody more than a second:");
    let mut patient = GreeterClient::new(channel);
    print(patient.say_hello_slowly(say(60_000)).await);

    println!("\n{} calls at once, for a burst of {BURST}:", BURST + 1);
    for _ in 0..=BURST {
        print(client.clone().say_hello(say(0)).await);
    }

    println!("\n{} streams at once, for {SLOTS} slots:", SLOTS + 1);
    let mut streams = Vec::new();
    for _ in 0..=SLOTS {
        let stream = client.clone().keep_saying_hello(say(0)).await;
        print(stream.as_ref().map(|_| "a stream").map_err(Clone::clone));
        streams.extend(stream);
    }
    Ok(())
}

fn print<T: std::fmt::Debug>(result: Result<T, tonic::Status>) {
    match result {
        Ok(_) => println!("    OK"),
        Err(status) => {
            let wait = status.metadata().get("grpc-retry-pushback-ms");
            let wait = wait.and_then(|wait| wait.to_str().ok());
            let wait = wait
                .map(|wait| format!(" (try again in {wait} ms)"))
                .unwrap_or_default();
            println!("    {:?}: {}{wait}", status.code(), status.message());
        }
    }
}
