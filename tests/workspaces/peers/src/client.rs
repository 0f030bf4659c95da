//! Whole servers as processes, and clients of them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::BoxError;

/// The program `server` with these arguments, until it is dropped.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Result<Self, BoxError> {
        let program = std::env::current_exe()?.with_file_name("server");
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut address)?;
        let address = address.trim().to_owned();
        let server = Self { child, address };
        match server.address.is_empty() {
            true => Err(format!("server {} does not start", arguments.join(" ")).into()),
            false => Ok(server),
        }
    }

    /// Bytes of memory that the process has now.
    pub fn memory(&self) -> Result<u64, BoxError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.ok_or("no VmRSS")?.parse::<u64>()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// One connection that is kept.
pub struct Client {
    stream: tokio::io::BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    /// The cookies that it set, as a request brings them.
    pub cookie: String,
}

impl Client {
    pub async fn connect(address: &str) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: tokio::io::BufReader::new(stream),
            line: String::new(),
            body: Vec::new(),
        })
    }

    pub async fn get(&mut self, path: &str, cookie: &str) -> Result<Answer, BoxError> {
        let cookie = match cookie {
            "" => String::new(),
            cookie => format!("cookie: {cookie}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{cookie}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let status = self.next_line().await?.split(' ').nth(1);
        let status = status.ok_or("no status")?.parse()?;
        let (mut length, mut cookie) = (0, String::new());
        loop {
            let line = self.next_line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or("no header")?;
            match &*name.to_ascii_lowercase() {
                "content-length" => length = value.trim().parse()?,
                "set-cookie" => {
                    let pair = value.split(';').next().unwrap_or_default().trim();
                    cookie += if cookie.is_empty() { "" } else { "; " };
                    cookie += pair;
                }
                _ => {}
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(Answer { status, cookie })
    }

    /// What the last answer said.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    async fn next_line(&mut self) -> Result<&str, BoxError> {
        self.line.clear();
        match self.stream.read_line(&mut self.line).await? {
            0 => Err("the server ended the connection".into()),
            _ => Ok(self.line.trim_end()),
        }
    }
}
