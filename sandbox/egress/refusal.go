package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Reasons why a request was refused or failed, in Event.Reason and in the reply header Paddock-Refused.
const (
	ReasonNotGranted   = "not_granted"      // no permission names this host and port
	ReasonDenied       = "denied"           // a permission that names it was denied
	ReasonPrivate      = "private_address"  // a private or directly connected network, without lan
	ReasonThisComputer = "this_computer"    // loopback, or an address of this machine
	ReasonReserved     = "reserved_address" // metadata, multicast, documentation and the like
	ReasonNotLocal     = "not_local"        // granted through lan only, but not on the local network
	ReasonResolve      = "resolve"          // the name could not be resolved
	ReasonConnect      = "connect"          // no connection, or it broke before an answer
	ReasonTLS          = "tls"              // no TLS connection, or a certificate that does not hold
	ReasonTimeout      = "timeout"          // somebody did not answer in time
	ReasonRate         = "rate"             // more requests than Limits.RequestsPerSecond
	ReasonBusy         = "busy"             // more connections than Limits.Connections
	ReasonBadRequest   = "bad_request"      // what the app sent is no request that can be passed on
	ReasonUnsupported  = "unsupported"      // CONNECT and others that there is no way out for
	ReasonRevoked      = "revoked"          // the permission was withdrawn while the request ran
)

// refusal is an answer that the proxy gives itself.
type refusal struct {
	status int
	reason string
	text   string // one or more whole sentences
	allow  string // the Allow header of a 405
}

func (r *refusal) Error() string { return r.text }

// byRule says that the app may not do this, as against: it could not be done.
func (r *refusal) byRule() bool {
	switch r.reason {
	case ReasonNotGranted, ReasonDenied, ReasonPrivate, ReasonThisComputer, ReasonReserved, ReasonNotLocal:
		return true
	default:
		return false
	}
}

func refuse(status int, reason, format string, args ...any) *refusal {
	return &refusal{status: status, reason: reason, text: fmt.Sprintf(format, args...)}
}

// explain turns an error of the way out into an answer. nil means that nobody is left to answer.
func explain(err error, host string) *refusal {
	var (
		already     *refusal
		certificate *tls.CertificateVerificationError
		name        x509.HostnameError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		timeout     net.Error
	)
	switch {
	case errors.As(err, &already):
		return already
	case errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &certificate), errors.As(err, &name), errors.As(err, &authority):
		return refuse(http.StatusBadGateway, ReasonTLS, "%s could not be reached safely: its certificate does not hold (%v). "+
			"Check the name, the clock of this computer, and that nothing on the network intercepts connections.", host, err)
	case errors.As(err, &record):
		return refuse(http.StatusBadGateway, ReasonTLS, "%s could not be reached safely: it does not answer with TLS. "+
			"Is it an http: address?", host)
	case errors.As(err, &alert):
		return refuse(http.StatusBadGateway, ReasonTLS, "%s could not be reached safely: it ended the TLS handshake (%v).", host, err)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusGatewayTimeout, ReasonTimeout, "%s did not answer in time. Try again later.", host)
	default:
		return refuse(http.StatusBadGateway, ReasonConnect, "%s could not be reached, or broke off before it answered. Try again later.", host)
	}
}

// addressRefusal is the sentence for a name or address that leads where the app may not go. The address itself is not
// told: the app has no business with how this network's names resolve.
func addressRefusal(host, reason string) *refusal {
	switch reason {
	case ReasonThisComputer:
		return refuse(http.StatusForbidden, reason, "This app may not talk to %s: it leads to this computer itself, which is never reachable for an app. "+
			"For a test, start the agent with --resolve.", host)
	case ReasonPrivate:
		return refuse(http.StatusForbidden, reason, "This app may not talk to %s: it leads to an address on a private or local network, and the app was not granted lan. "+
			"Ask for lan in the app's manifest to reach devices on the local network.", host)
	case ReasonNotLocal:
		return refuse(http.StatusForbidden, reason, "This app may not talk to %s: lan covers devices on the local network only, and it leads elsewhere. "+
			"Ask for a net permission that names it in the app's manifest.", host)
	default:
		return refuse(http.StatusForbidden, ReasonReserved, "This app may not talk to %s: it leads to an address that is set aside "+
			"(metadata, multicast, documentation or the like) and is never reachable for an app.", host)
	}
}
