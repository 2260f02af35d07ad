package tlsfiles

import (
	"crypto/x509"
	"slices"
	"strings"
)

// Role is what a certificate is for, as its organizational unit says.
type Role string

// The roles. A certificate may have several.
const (
	Agent       Role = "gnomon-agent"       // the internal API
	Coordinator Role = "gnomon-coordinator" // everything
	Region      Role = "gnomon-region"      // what links, and coordinators of the other region, ask
	Operator    Role = "gnomon-operator"    // links, failovers, health, profiles
	Monitor     Role = "gnomon-monitor"     // metrics
)

// Roles are all of them.
var Roles = []Role{Agent, Coordinator, Region, Operator, Monitor}

const rolePrefix = "gnomon-"

// RolesOf returns a certificate's roles. named is false when no organizational unit has the form of a role: then the
// certificate is not restricted.
func RolesOf(cert *x509.Certificate) (roles []Role, named bool) {
	for _, unit := range cert.Subject.OrganizationalUnit {
		if !strings.HasPrefix(unit, rolePrefix) {
			continue
		}
		named = true // one that this build does not know grants nothing
		if slices.Contains(Roles, Role(unit)) {
			roles = append(roles, Role(unit))
		}
	}
	return roles, named
}
