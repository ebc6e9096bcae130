package webapi

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the addresses of reverse proxies that say in X-Forwarded-For whom they ask for. Whoever sends from one of
// them passes for any client, and so can use up what is allowed to others; nobody else can.
type Proxies []netip.Prefix

// ParseProxies reads prefixes such as 10.1.2.0/24 or fd00::7/128, in their canonical spelling. A prefix of everybody is
// refused: then each client would choose its own address.
func ParseProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%.100q is not a prefix such as 10.1.2.0/24 or fd00::7/128", text)
		case prefix.Addr().Is4In6() || prefix.Masked().String() != text:
			return nil, fmt.Errorf("prefix %.100q is written %s", text, netip.PrefixFrom(prefix.Addr().Unmap(), unmappedBits(prefix)).Masked())
		case prefix.Bits() == 0:
			return nil, fmt.Errorf("prefix %s is everybody", text)
		}
		p = append(p, prefix)
	}
	return p, nil
}

// unmappedBits is the length of a prefix, as of an IPv4 address if it is one inside IPv6.
func unmappedBits(p netip.Prefix) int {
	if p.Addr().Is4In6() {
		return max(0, p.Bits()-96)
	}
	return p.Bits()
}

func (p Proxies) trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// Handler lets next see, in RemoteAddr, the client that trusted proxies ask for, with port 0. Other requests are as they
// are, whatever they say of themselves.
func (p Proxies) Handler(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forwarded := *r // the server's own request keeps its address
		forwarded.RemoteAddr = p.client(r.RemoteAddr, r.Header.Values("X-Forwarded-For"))
		next.ServeHTTP(w, &forwarded)
	})
}

// client is the nearest hop that is no trusted proxy. Each proxy adds the address that it was asked from on the right, so
// that what stands left of that hop is only what the hop says. Where a proxy added no address, the proxy is the client.
func (p Proxies) client(peer string, header []string) string {
	nearest, ok := hop(peer)
	if !ok || !p.trust(nearest) {
		return peer
	}
	list := strings.Split(strings.Join(header, ","), ",")
	for i := len(list) - 1; i >= 0 && p.trust(nearest); i-- {
		next, ok := hop(strings.Trim(list[i], " \t"))
		if !ok {
			break
		}
		nearest = next
	}
	return net.JoinHostPort(nearest.String(), "0")
}

// hop reads an address, with or without port. An IPv4 address inside IPv6 is that address, and a zone, which tells
// interfaces of a machine apart and not clients, goes.
func hop(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		with, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		a = with.Addr()
	}
	return a.Unmap().WithZone(""), true
}
