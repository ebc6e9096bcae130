package divisions

import (
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// Whatever three files say: refused, or each district lies in a city, in a province, and is found by its code.
func FuzzRead(f *testing.F) {
	const (
		provinces = "code,name\n11,北京市\n33,浙江省\n"
		cities    = "code,name,provinceCode\n1101,市辖区,11\n3301,杭州市,33\n"
		areas     = "code,name,cityCode,provinceCode\n110101,东城区,1101,11\n330106,西湖区,3301,33\n"
	)
	f.Add(provinces, cities, areas)
	f.Add(provinces, cities, areas+"330106,\"西湖\n区\",3301,33\n")
	f.Add("code,name\r\n11,\"北\"\"京\"\r\n", "code,name,provinceCode\n1101,e\u0301,11\n", areas)
	f.Add("\xef\xbb\xbfcode,name\n", cities, areas)
	f.Fuzz(func(t *testing.T, provinces, cities, areas string) {
		var r *Register
		var err error
		fuzztest.Bounded(t, 1<<20+64*(len(provinces)+len(cities)+len(areas)), func() { r, err = read(provinces, cities, areas) })
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for _, d := range r.Districts() {
			if found, ok := r.Lookup(d.Code); !ok || found != d {
				t.Fatalf("district %+v is not found by its code", d)
			}
			if len(d.Code) != 6 || d.Code[:4] != d.CityCode || d.Code[:2] != d.ProvinceCode || d.City == "" || d.Province == "" {
				t.Errorf("district %+v lies nowhere", d)
			}
			if _, err := ResidenceSchema("people").Encode(d.Claims("2024-02-29")); err != nil {
				t.Errorf("district %+v was read, but does not encode: %v", d, err)
			}
			if !strings.Contains(d.FullName(), d.Name) {
				t.Errorf("district %+v is called %q", d, d.FullName())
			}
		}
	})
}
