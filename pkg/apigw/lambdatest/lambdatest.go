// Package lambdatest owns what stands in for AWS around a Lambda function on one
// machine: Build makes the binary as it is deployed, Process runs it against a
// Runtime API on loopback, and Gateway plays the HTTP API in front of it, so that an
// http.Client can talk to it.
//
// Nothing here depends on package testing, so a command can use it as well.
package lambdatest
