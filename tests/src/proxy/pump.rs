//! One connection: requests there, replies back.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::requests::Requests;
use super::rules::{Cut, Rules};

/// Passes on, until either side closes or the connection is cut. Both sides are closed then.
pub(super) async fn both_ways(client: TcpStream, server: TcpStream, rules: &Rules) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // All four live to the end of this function: dropped, they would close.
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = tokio::select! {
        cut = requests(&mut from_client, &mut to_server, rules) => cut.ok().flatten(),
        _ = replies(&mut from_server, &mut to_client, rules) => None,
    };
    if cut == Some(Cut::Reply) {
        // The server closes only after it has carried out all that it was sent.
        let _ = to_server.shutdown().await;
        let _ = copy(&mut from_server, &mut sink()).await;
    }
}

/// Returns what is to be cut, or nothing at the client's end.
async fn requests(
    client: &mut OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    rules: &Rules,
) -> io::Result<Option<Cut>> {
    let mut requests = Requests::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = client.read(&mut buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        requests.push(&buffer[..read]);
        while let Some(request) = requests.next() {
            rules.flowing().await;
            let cut = rules.cut_of(&request);
            if cut == Some(Cut::Silently) {
                continue;
            }
            if cut != Some(Cut::Request) {
                rules.pass(&request);
                server.write_all(&request).await?;
            }
            if cut.is_some() {
                return Ok(cut);
            }
        }
    }
}

async fn replies(
    server: &mut OwnedReadHalf,
    client: &mut OwnedWriteHalf,
    rules: &Rules,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = server.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        rules.flowing().await;
        client.write_all(&buffer[..read]).await?;
    }
}
