// Package telemetry counts and times what the server does, for Prometheus. It is a leaf: web reports each request, audit each event, and the operators' listener
// serves the result. Labels come from closed sets, so no request can make the server remember more.
package telemetry
