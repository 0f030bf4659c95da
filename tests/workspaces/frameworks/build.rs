//! The service of `src/grpc.rs`, without `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::grpc::Item")
            .output_type("crate::grpc::Cart")
            .codec_path("tonic_prost::ProstCodec")
    };
    let shop = Service::builder()
        .name("Shop")
        .package("shop")
        .method(method("add", "Add").build())
        .method(method("watch", "Watch").server_streaming().build())
        .method(method("fill", "Fill").client_streaming().build())
        .build();
    Builder::new().compile(&[shop]);
}
