//! The parts of HTTP/1.1 that the stand-ins need, on a plain socket, so that faults can be injected byte by byte.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// A connection that receives requests.
pub struct Connection {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// The next request, or `None` if the other side closes the connection.
    pub async fn request(&mut self) -> io::Result<Option<Request>> {
        loop {
            if let Some((mut request, head_length)) = parse_head(&self.unread)? {
                let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
                while self.unread.len() < head_length + length {
                    if self.stream.read_buf(&mut self.unread).await? == 0 {
                        return Ok(None);
                    }
                }
                let rest = self.unread.split_off(head_length + length);
                request.body = std::mem::replace(&mut self.unread, rest).split_off(head_length);
                return Ok(Some(request));
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits until the other side closes the connection. Whatever it still sends is ignored.
    pub async fn closed(&mut self) -> io::Result<()> {
        while self.stream.read_buf(&mut self.unread).await? > 0 {}
        Ok(())
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }
}

/// A whole response with its length.
pub fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut response = head(status, headers, body.len());
    response.extend_from_slice(body);
    response
}

/// The head of a response that promises `length` bytes.
pub fn head(status: u16, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    (head + "\r\n").into_bytes()
}

/// A received response.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Parses a response that was read to the end of its connection.
pub fn parse_response(bytes: &[u8]) -> io::Result<Response> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let status = parsed.code.unwrap_or_default();
            Ok(Response { status, headers: lower_case(parsed.headers), body: bytes[length..].to_vec() })
        }
        Ok(httparse::Status::Partial) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

fn lower_case(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let value = |bytes| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|header| (header.name.to_ascii_lowercase(), value(header.value))).collect()
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let headers = lower_case(parsed.headers);
            let request = Request {
                method: parsed.method.unwrap_or_default().to_owned(),
                path: parsed.path.unwrap_or_default().to_owned(),
                headers,
                body: Vec::new(),
            };
            Ok(Some((request, length)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}
