//! `cargo run --release --example grpc_client`
//!
//! A tonic client calls a server that fails three times before it answers, in the headers and in the
//! trailers, and retries by a gRPC service config.
#![allow(clippy::print_stdout, reason = "it tells what happens")]

use buttress::CircuitBreaker;
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc_client::{Unreliable, client};
use tonic::transport::Endpoint;
use tower::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = Unreliable::new(3);
    let address = server.serve().await?;
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let breaker = CircuitBreaker::new("greeter")?;
    let mut client = client(channel, &breaker)?;
    let hello = HelloRequest {
        name: "client".to_owned(),
        delay_ms: 0,
    };

    println!("failures in the headers:");
    let reply = client.say_hello(hello.clone()).await;
    print(reply.map(|reply| reply.into_inner().message));
    println!("    the server was called {} times", server.calls());

    println!("failures in the trailers:");
    let mut stream = client.keep_saying_hello(hello).await?.into_inner();
    print(
        stream
            .message()
            .await
            .map(|reply| reply.unwrap_or_default().message),
    );
    println!("    the server was called {} times", server.calls());
    println!("the breaker is {}", breaker.state().name());
    Ok(())
}

fn print(answer: Result<String, tonic::Status>) {
    match answer {
        Ok(message) => println!("    {message}"),
        Err(status) => println!("    {:?}: {}", status.code(), status.message()),
    }
}
