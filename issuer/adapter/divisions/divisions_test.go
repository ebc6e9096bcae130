package divisions

import (
	"fmt"
	"strings"
	"testing"
)

func china(t testing.TB) *Register {
	t.Helper()
	r, err := China()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryDistrictEncodes(t *testing.T) {
	schema := ResidenceSchema("cn-residents")
	if err := schema.Validate(); err != nil {
		t.Fatal(err)
	}
	districts := china(t).Districts()
	if len(districts) != 2978 {
		t.Fatalf("%d districts, want 2978", len(districts))
	}
	for _, d := range districts {
		if _, err := schema.Encode(d.Claims("2021-06-30")); err != nil {
			t.Fatalf("district %s: %v", d.Code, err)
		}
		if found, ok := china(t).Lookup(d.Code); !ok || found != d {
			t.Fatalf("district %s is not found by its code", d.Code)
		}
	}
	if _, err := schema.Encode(districts[0].Claims("2021-6-30")); err == nil {
		t.Error("a date in another spelling encodes")
	}
}

func ExampleRegister_Lookup() {
	register, err := China()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, code := range []string{"330106", "110101", "429004", "330199"} {
		district, found := register.Lookup(code)
		fmt.Println(code, found, district.FullName(), district.CityName())
	}
	// Output:
	// 330106 true 浙江省杭州市西湖区 杭州市
	// 110101 true 北京市东城区 北京市
	// 429004 true 湖北省仙桃市 湖北省
	// 330199 false
}

func TestInCityAndLabels(t *testing.T) {
	hangzhou := china(t).InCity("3301")
	if len(hangzhou) < 10 {
		t.Errorf("Hangzhou has %d districts", len(hangzhou))
	}
	if labels := china(t).Labels("330106", "000000"); len(labels) != 1 || labels["330106"].Chinese != "浙江省杭州市西湖区" {
		t.Errorf("labels are %v", labels)
	}
}

func TestReadRefuses(t *testing.T) {
	const (
		provinces = "code,name\n11,北京市\n"
		cities    = "code,name,provinceCode\n1101,市辖区,11\n"
		areas     = "code,name,cityCode,provinceCode\n110101,东城区,1101,11\n"
	)
	if _, err := read(provinces, cities, areas); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ provinces, cities, areas, want string }{
		"no header":             {"11,北京市\n", cities, areas, "provinces: the first line"},
		"columns in disorder":   {provinces, cities, "name,code,cityCode,provinceCode\n", "areas: the first line"},
		"letters in a code":     {provinces, cities, areas + "11010A,某区,1101,11\n", "line 3, column code"},
		"code twice":            {provinces, cities, areas + "110101,某区,1101,11\n", "line 3, column code: 110101 stands twice"},
		"no name":               {provinces, cities, areas + "110102,,1101,11\n", "line 3, column name"},
		"city not listed":       {provinces, cities, areas + "110201,某区,1102,11\n", "parent 1102 is not listed"},
		"city of another code":  {provinces, cities, areas + "120101,某区,1101,11\n", "does not begin"},
		"province of no city":   {provinces, cities + "1201,市辖区,12\n", areas, "parent 12 is not listed"},
		"province does not fit": {provinces, cities, areas + "110102,某区,1101,12\n", "does not begin"},
		"short row":             {provinces, cities, areas + "110102,某区\n", "line 3"},
	} {
		if _, err := read(c.provinces, c.cities, c.areas); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func read(provinces, cities, areas string) (*Register, error) {
	return Read(strings.NewReader(provinces), strings.NewReader(cities), strings.NewReader(areas))
}
