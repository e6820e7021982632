# The service for native gRPC clients: one static program and the certificates that it
# checks AWS by. There is nothing else in the image: no shell, no package, no user.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o /stepup ./cmd/stepup

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /stepup /stepup
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/stepup"]
CMD ["serve", "--listen", ":8080"]
