package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

// forbidden are the ranges that are not public, by IANA's special-purpose registries (RFC 6890) and one by a cloud's custom, each with its
// reason.
// IPv6 is allowed by ranges instead: see judge.
var forbidden = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a carrier"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a service of Azure's hosts"}, // a public address that its machines reach behind their firewall
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "for protocols"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a relay of 6to4"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},

	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
	{netip.MustParsePrefix("2001::/23"), "for protocols"}, // Teredo, benchmarks, ORCHID
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052; 64:ff9b:1::/48 is local and so refused
	sixToFour     = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// judge says whether an address may be called. An IPv6 address that carries an IPv4 address is judged as both. A network's
// own prefix for NAT64 looks like any other public range: who runs one must keep it from leading inside.
func (cfg Config) judge(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap() // a prefix contains no address with a zone
	inner, carries := carried(addr)
	if cfg.allows(addr) || carries && cfg.allows(inner) {
		return nil
	}
	if carries {
		if err := public(inner); err != nil {
			return err
		}
	}
	return public(addr)
}

// judgePort says whether a port of an address may be called. On this machine, where it is allowed at all, each service has a port of its own.
func (cfg Config) judgePort(addr netip.Addr, port uint16) error {
	if addr.Unmap().IsLoopback() && cfg.allows(addr.WithZone("").Unmap()) || cfg.allowsPort(port) {
		return nil
	}
	return refuse("port is not one that we call")
}

func (cfg Config) allowsPort(port uint16) bool {
	return port == httpsPort || port == httpPort && cfg.AllowHTTP || slices.Contains(cfg.Ports, port)
}

func (cfg Config) allows(addr netip.Addr) bool {
	return slices.ContainsFunc(cfg.Allowed, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// carried is the IPv4 address that a translator or relay would make of an IPv6 address.
func carried(addr netip.Addr) (netip.Addr, bool) {
	raw := addr.As16()
	switch {
	case nat64.Contains(addr):
		return netip.AddrFrom4([4]byte(raw[12:16])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(raw[2:6])), true
	}
	return netip.Addr{}, false
}

// public refuses what is in a forbidden range, and what IPv6 has not given out for global use.
func public(addr netip.Addr) error {
	if !addr.IsValid() {
		return fmt.Errorf("no address: %w", ErrForbidden)
	}
	for _, r := range forbidden {
		if r.prefix.Contains(addr) {
			return fmt.Errorf("address is %s: %w", r.why, ErrForbidden)
		}
	}
	if addr.Is6() && !globalUnicast.Contains(addr) && !nat64.Contains(addr) {
		return fmt.Errorf("address is not global: %w", ErrForbidden)
	}
	return nil
}
