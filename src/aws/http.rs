//! The SDK's requests, sent by reqwest like the API's.
//!
//! The SDK's own HTTP client reads the system's root certificates at each start, file by file, and parses them again
//! for each service. That takes longer than the rest of a start and the first answer together.

use aws_sdk_sqs::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use reqwest::{Body, Client, Request};

/// The header in which the SDK numbers its attempts: `attempt=1; max=3`.
const ATTEMPT: &str = "amz-sdk-request";

/// The HTTP client for the requests of every service. It has the time-outs of `pooled` and `unpooled`, not the SDK's.
///
/// The first attempt uses `pooled`. Every further attempt uses `unpooled`, which opens a new connection: the first one
/// may have failed because its connection died while the function was frozen. Then all pooled connections are dead, and
/// there may be more of them than attempts.
pub(super) fn http_client(pooled: Client, unpooled: Client) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector { pooled, unpooled });
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Connector {
    pooled: Client,
    unpooled: Client,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_first = request.headers().get(ATTEMPT).is_none_or(|text| text.contains("attempt=1;"));
        let client = if is_first { self.pooled.clone() } else { self.unpooled.clone() };
        HttpConnectorFuture::new(async move { send(&client, request).await })
    }
}

async fn send(client: &Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let request = Request::try_from(request.map(Body::wrap)).map_err(failure)?;
    let mut response = client.execute(request).await.map_err(failure)?;
    let status = response.status().into();
    let headers = Headers::try_from(std::mem::take(response.headers_mut()))
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut answer = HttpResponse::new(status, SdkBody::from_body_1_x(Body::from(response)));
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// The failure in the SDK's terms. The SDK retries time-outs and broken connections.
fn failure(error: reqwest::Error) -> ConnectorError {
    let kind = if error.is_timeout() {
        ConnectorError::timeout
    } else if error.is_builder() {
        ConnectorError::user
    } else {
        ConnectorError::io
    };
    kind(error.without_url().into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::https::Https;

    /// How a request to this URL fails, with 100 ms to connect and 300 ms to wait for an answer.
    async fn failure_at(url: &str) -> ConnectorError {
        let wait = Duration::from_millis(100);
        let client = Https::new().unwrap().client().connect_timeout(wait).read_timeout(3 * wait).build().unwrap();
        let mut request = HttpRequest::new(SdkBody::from("{}"));
        request.set_method("POST").unwrap();
        request.set_uri(url).unwrap();
        send(&client, request).await.unwrap_err()
    }

    /// The same if the other side reads the request and then does this with the connection.
    async fn failure_if<F: Future<Output = ()>>(then: impl FnOnce(TcpStream) -> F) -> ConnectorError {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
            then(stream).await;
            std::future::pending().await
        };
        tokio::select! {
            failure = failure_at(&url) => failure,
            () = serve => panic!("it never ends"),
        }
    }

    #[tokio::test]
    async fn a_refused_or_broken_connection_is_retried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        assert!(failure_at(&nobody).await.is_io());
        let reset = failure_if(async |stream| stream.set_zero_linger().unwrap()).await;
        assert!(reset.is_io(), "{reset:?}");
        let closed = failure_if(async |stream| drop(stream)).await;
        assert!(closed.is_io(), "{closed:?}");
        let cut = failure_if(async |mut stream| stream.write_all(b"HTTP/1.1 200 O").await.unwrap()).await;
        assert!(cut.is_io(), "{cut:?}");
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_is_a_time_out() {
        let hung = failure_if(async |stream| {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        assert!(hung.is_timeout(), "{hung:?}");
    }

    #[tokio::test]
    async fn a_connection_that_is_never_accepted_is_a_time_out() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut backlog = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            backlog.push(stream.unwrap());
        }
        let failure = failure_at(&format!("http://{address}/")).await;
        assert!(failure.is_timeout(), "{failure:?}");
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_built_is_not_retried() {
        let failure = failure_at("/no/host").await;
        assert!(failure.is_user(), "{failure:?}");
    }
}
