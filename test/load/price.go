package main

// Prices in USD: on demand, us-east-1, arm64, from memory of the public price lists of
// November 2026. Verify them before you rely on them.
const (
	priceGateway  = 1.00  // a million requests of an HTTP API
	priceRequest  = 0.20  // a million requests of Lambda
	priceCompute  = 13.33 // a million GB-seconds of Lambda on arm64
	priceWrite    = 0.625 // a million write units of DynamoDB
	priceRead     = 0.125 // a million read units of DynamoDB
	priceLog      = 0.50  // a GB of CloudWatch Logs
	priceEvent    = 1.00  // a million events of EventBridge
	memoryGB      = 0.5   // of the function api, as in the template
	ownMillis     = 5.0   // of a call, beside waiting and hashing
	tripMillis    = 5.0   // of a request to DynamoDB
	hashMillis    = 70.0  // of argon2id (19 MiB, 2 passes) on the part of a core that 512 MB buy
	logBytes      = 1250  // a call writes: access log, log of the function, metrics
	bytesInGB     = 1e9
	callsInReport = 1e6
)

// usage is what one call takes.
type usage struct {
	calls       float64 // over HTTP: more than one for a round
	trips       float64 // requests to DynamoDB, as if each waited for the one before
	reads       float64 // read units
	writes      float64 // write units
	hashes      float64
	changes     float64 // of the session, each of which is an event
	budgetTrips float64 // what the table "What a call costs" allows
	budgetUnits float64
}

// bill is the price of a million calls in USD, by who is paid. Messages are not in it.
type bill struct{ gateway, lambda, writes, reads, logs, events float64 }

// price is the formula.
func price(u usage) bill {
	seconds := (u.calls*ownMillis + u.trips*tripMillis + u.hashes*hashMillis) / 1000
	return bill{
		gateway: u.calls * priceGateway,
		lambda:  u.calls*priceRequest + seconds*memoryGB*priceCompute,
		writes:  u.writes * priceWrite,
		reads:   u.reads * priceRead,
		logs:    u.calls * logBytes * callsInReport / bytesInGB * priceLog,
		events:  u.changes * priceEvent,
	}
}

func (b bill) sum() float64 {
	return b.gateway + b.lambda + b.writes + b.reads + b.logs + b.events
}
