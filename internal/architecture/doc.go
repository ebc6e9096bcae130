// Package architecture holds the test that imports point down (DESIGN, "where things live"): there is no code here.
package architecture
