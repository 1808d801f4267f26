// Package script runs scripts of runbooks, contained: python3 or pwsh in namespaces of
// its own, with no credentials, no network and little of the file system. All that
// a script can reach is a forward proxy of ours, on the loopback of its own
// network namespace. The proxy ends TLS, finds out from the models which
// operation of which service is called, and makes that call through an
// awsapi.Caller of the run's. So what holds for a run's calls (plan, replay,
// limits, audit) holds for a script's.
//
//	our process                         the script's namespaces
//	Runner ── control, job, log ──► init (this binary again; its process 1)
//	proxy ◄── listening socket ────  └─ main.py or main.ps1, the script
//	  └─ awsapi.Caller
//
// The init makes the namespaces' file system, opens the listening socket, hands it
// over, gives up every privilege, filters the system calls of what it starts, and
// starts python3 or pwsh. When it ends, so does all that the script has started; and
// it ends when our process does.
//
// A program that runs scripts calls Init first thing in main.
package script
